package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
)

func newRescheduleCmd(env *environment) *cobra.Command {
	var at, in string
	cmd := &cobra.Command{
		Use:   "reschedule SENDING --at TIME | --in LENGTH",
		Short: "Give a sending that hasn't begun another time",
		Long: `Gives a sending that hasn't begun another time. Its slots are freed and others are
reserved in one step; if there is no room at the new time, nothing changes. A paused or held
sending stays so. Exit status 1: the sending has begun, or there is no room.`,
		Example:           "  campaignd reschedule spring --at \"tomorrow 09:30\"\n  campaignd reschedule 42 --in 2h",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		PreRunE: func(*cobra.Command, []string) error {
			if (at == "") == (in == "") {
				return usage("give one of --at and --in")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			delay, err := parseDelay(in)
			if err != nil {
				return err
			}
			c, cfg, err := env.clientAndConfig()
			if err != nil {
				return err
			}
			defer c.Close()
			d, err := c.Sending(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			env.useZone(cfg, d.ApplicationID)
			when := api.NewTime{Delay: delay}
			if at != "" {
				var zone *time.Location
				if app := cfg.Application(d.ApplicationID); app != nil {
					zone = app.Location
				}
				if when.ScheduleAt, err = parseAt(at, time.Now(), zone); err != nil {
					return err
				}
			}
			r, err := c.Reschedule(cmd.Context(), string(d.ID), when)
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(r)
			}
			env.printf("%s\n", printable(fmt.Sprintf("%s (%s) goes out at %s instead of %s; it is %s.",
				r.ID, r.Name, env.instant(r.ScheduledAt), env.instant(r.From), r.State)))
			if len(r.Slices) == 1 && r.Slices[0].End.IsZero() {
				return nil
			}
			return printSlices(env, r.Slices)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", atHelp)
	cmd.Flags().StringVar(&in, "in", "", inHelp)
	return cmd
}
