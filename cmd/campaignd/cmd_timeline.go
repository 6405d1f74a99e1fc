package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/picture"
	"campaignd/internal/plan"
)

func newTimelineCmd(env *environment) *cobra.Command {
	var application int64
	var limit int
	cmd := &cobra.Command{
		Use:   "timeline",
		Short: "Draw the slots of the next 48 hours and their sendings",
		Long: `Draws the slots of the next 48 hours. Each cell is a slot (or several on a narrow
terminal), shaded by how full it is. Each row ends with its fill level, its reserved
messages and the letters of its sendings. The list below explains the letters; it has the
50 sendings that are due next unless --limit says otherwise.`,
		Example: "  campaignd timeline                   all applications\n  campaignd timeline --application 1   one of them",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if application < 0 {
				return usage("--application is %d, want an application's id", application)
			}
			if limit < 0 {
				return usage("--limit must be 0 or more")
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			t, err := c.Timeline(cmd.Context(), application, limit)
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(t)
			}
			for i, a := range t.Applications {
				if i > 0 {
					env.printf("\n")
				}
				printTimeline(env, t, a)
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "only this application's `id`")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most `N` sendings of an application; 0 lists all")
	return cmd
}

func printTimeline(env *environment, t api.Timeline, a api.ApplicationTimeline) error {
	title := fmt.Sprintf("Application %d", a.ApplicationID)
	if a.Name != "" {
		title += ", " + a.Name
	}
	env.printf("%s\n", env.bold(printable(title)))
	zone, err := time.LoadLocation(a.Timezone)
	if err != nil || env.utc {
		zone = time.UTC // without --utc: the daemon knows a zone that this machine lacks
	}
	if !a.Sliced || a.SlotSeconds <= 0 {
		env.printf("not sliced: due messages go out immediately, limited by the channel's rate\n")
		return printHolders(env, a, zone, t.From)
	}
	env.printf("slots of %s for %s messages; times in %s\n", span(time.Duration(a.SlotSeconds)*time.Second), display.Number(a.Capacity), zone)
	if len(a.Slots) == 0 {
		env.printf("no slot is reserved until %s\n", t.Until.In(zone).Format(momentFormat))
		return printHolders(env, a, zone, t.From)
	}
	env.printf("\n")
	env.lines(pictureOf(t, a, zone).Rows(env.width, env.color))
	return printHolders(env, a, zone, t.From)
}

// pictureOf converts an application's timeline for drawing.
func pictureOf(t api.Timeline, a api.ApplicationTimeline, zone *time.Location) picture.Timeline {
	p := picture.Timeline{From: t.From, Until: t.Until, Zone: zone, Reserved: make(map[int64]uint32, len(a.Slots)),
		Grid: plan.Grid{Slot: time.Duration(a.SlotSeconds) * time.Second, Capacity: a.Capacity}}
	for _, c := range a.Closed {
		p.Closed = append(p.Closed, picture.Span{Start: c.Start, End: c.End})
	}
	p.Sendings = make([][]int64, len(a.Sendings))
	index := map[campaign.ID]int{}
	for i, s := range a.Sendings {
		index[s.ID] = i
	}
	for _, slot := range a.Slots {
		n := p.Grid.Number(slot.Start)
		p.Reserved[n] = slot.Reserved
		for _, share := range slot.Shares {
			if i, ok := index[share.ID]; ok {
				p.Sendings[i] = append(p.Sendings[i], n)
			}
		}
	}
	return p
}

// momentFormat omits the year: a timeline reaches at most months ahead.
const momentFormat = "Mon 02 Jan 15:04"

// printHolders lists an application's sendings with their letters in the picture,
// in lines that fit the terminal.
func printHolders(env *environment, a api.ApplicationTimeline, zone *time.Location, now time.Time) error {
	if len(a.Sendings) == 0 {
		return env.printf("\nNothing is planned.\n")
	}
	rows := [][]string{{"", "id", "name", "state", "unsent", "slots", "next", "until"}}
	for i, s := range a.Sendings {
		letter, slots, until := "", "", ""
		if s.Sliced && a.Sliced {
			letter = picture.Letter(i)
		}
		if s.Sliced && s.Slots > 0 {
			slots, until = display.Number(s.Slots), shortTime(s.End.In(zone), now)
		}
		rows = append(rows, []string{letter, string(s.ID), printable(s.Name), string(s.State), display.Number(s.Messages),
			slots, shortTime(s.Start.In(zone), now), until})
	}
	err := printFitting(env, rows)
	if a.More > 0 {
		err = env.printf("%s more: --limit 0 lists all of them.\n", display.Number(a.More))
	}
	return err
}

// shortTime formats an instant within a week by weekday, a later one by date.
func shortTime(at, now time.Time) string {
	if d := at.Sub(now); d > -24*time.Hour && d < 6*24*time.Hour {
		return at.Format("Mon 15:04")
	}
	return at.Format("02 Jan 15:04")
}

// printFitting prints rows in columns. On a narrow terminal it shortens the name.
func printFitting(env *environment, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for k, cell := range row {
			widths[k] = max(widths[k], text.StringWidthWithoutEscSequences(cell))
		}
	}
	const name, unsent, slots, gap = 2, 4, 5, 2
	if env.width > 0 {
		rest := gap*len(widths) - gap - env.width - widths[name]
		for _, w := range widths {
			rest += w
		}
		widths[name] = min(widths[name], max(-rest, 8))
	}
	var b strings.Builder
	b.WriteString("\n")
	for i, row := range rows {
		line := ""
		for k, cell := range row {
			switch {
			case k == name:
				cell = text.Pad(text.Snip(cell, widths[k], "…"), widths[k], ' ')
			case k == unsent || k == slots:
				cell = strings.Repeat(" ", widths[k]-len(cell)) + cell
			default:
				cell = text.Pad(cell, widths[k], ' ')
			}
			if widths[k] > 0 {
				line += strings.Repeat(" ", gap*min(len(line), 1)) + cell
			}
		}
		if line = strings.TrimRight(line, " "); i == 0 {
			line = env.bold(line)
		}
		b.WriteString(line + "\n")
	}
	return env.printf("%s", b.String())
}
