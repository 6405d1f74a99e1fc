package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newTimelineCmd(env *environment) *cobra.Command {
	var application int64
	cmd := &cobra.Command{
		Use:   "timeline",
		Short: "Draw the slots of the next 48 hours and who holds them",
		Long: `Draws the slots of the next 48 hours, a row an hour and a cell a slot (or several,
where an hour has more than fit), shaded by how full it is, and lists the sendings that hold slots.`,
		Example: "  campaignd timeline                   all applications\n  campaignd timeline --application 1   one of them",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if application < 0 {
				return usage("--application is %d where the id of an application is right", application)
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			t, err := c.Timeline(cmd.Context(), application)
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(t)
			}
			for i, a := range t.Applications {
				if i > 0 {
					if err := env.printf("\n"); err != nil {
						return err
					}
				}
				if err := printTimeline(env, t, a); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "only this application's `id`")
	return cmd
}

func printTimeline(env *environment, t control.Timeline, a control.ApplicationTimeline) error {
	title := fmt.Sprintf("Application %d", a.ApplicationID)
	if a.Name != "" {
		title += ", " + a.Name
	}
	if err := env.printf("%s\n", env.bold(printable(title))); err != nil {
		return err
	}
	if a.Sliced && a.SlotSeconds > 0 {
		zone, err := time.LoadLocation(a.Timezone)
		if err != nil {
			zone = time.UTC // the daemon knows a zone that this machine doesn't
		}
		if err := env.printf("slots of %s for %s messages; times in %s\n\n", span(time.Duration(a.SlotSeconds)*time.Second), count(a.Capacity), zone); err != nil {
			return err
		}
		if err := lines(env.out, drawTimeline(t, a, zone)); err != nil {
			return err
		}
	} else if err := env.printf("not sliced: what is due goes out at once, as fast as its channel may\n"); err != nil {
		return err
	}
	if len(a.Sendings) == 0 {
		return env.printf("\nNothing is planned.\n")
	}
	g := grid{header: []string{"id", "name", "state", "messages", "slots", "from", "to"}, right: []int{3, 4}}
	for _, s := range a.Sendings {
		slots := ""
		if s.Sliced {
			slots = count(s.Slots)
		}
		g.add(string(s.ID), s.Name, string(s.State), count(s.Messages), slots, env.when(s.Start), env.when(s.End))
	}
	if err := env.printf("\n"); err != nil {
		return err
	}
	return env.printGrid(g)
}
