package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func newStatusCmd(env *environment) *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the daemon's state and its active sendings",
		Long: `Shows the daemon's inboxes, its channels, what is held and why, and the active
sendings, the newest 50 of them unless --limit says otherwise. --all lists finished
sendings, too.`,
		Example: "  campaignd status            the current state\n  campaignd status --json     the same for a program",
		Args:    given(0, 0, "it takes no arguments"),
		PreRunE: func(*cobra.Command, []string) error {
			if limit < 0 {
				return usage("--limit must be 0 or more")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), env, all, limit)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list finished sendings too")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most `N` sendings; 0 lists all")
	return cmd
}

// statusAnswer is the output of "status --json".
type statusAnswer struct {
	control.Status
	List []control.Sending `json:"list"` // active sendings; every sending with --all; at most --limit
}

func runStatus(ctx context.Context, env *environment, all bool, limit int) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	filter := control.Filter{Limit: limit}
	if !all {
		filter.States = openStates()
	}
	list, err := c.Sendings(ctx, filter)
	if err != nil {
		return err
	}
	if env.json {
		return env.printJSON(statusAnswer{status, list})
	}
	return printStatus(env, status, list, all)
}

// openStates returns the states that aren't final.
func openStates() []campaign.State {
	var open []campaign.State
	for _, s := range campaign.States {
		if !s.Final() {
			open = append(open, s)
		}
	}
	return open
}

func printStatus(env *environment, s control.Status, list []control.Sending, all bool) error {
	running := fmt.Sprintf("campaignd %s, process %d, up %s", s.Version, s.PID, span(s.Now.Sub(s.StartedAt)))
	if s.Stopping {
		running += ", stopping"
	}
	var totals []string
	for _, state := range campaign.States {
		if n := s.Sendings[state]; n > 0 {
			totals = append(totals, fmt.Sprintf("%d %s", n, state))
		}
	}
	queue := fmt.Sprintf("%s pending, %s in flight, %s retrying", count(s.Queue.Pending), count(s.Queue.InFlight), count(s.Queue.Retrying))
	if !s.Queue.NextAt.IsZero() {
		queue += ", next at " + env.instant(s.Queue.NextAt)
	}
	store := fmt.Sprintf("%s, %s (%s of it free; the disk has %s)", s.Store.Path, bytesText(s.Store.Bytes), bytesText(s.Store.FreeBytes), bytesText(s.Store.DiskFree))
	if err := env.facts(
		[2]string{"daemon", running},
		[2]string{"config", s.ConfigFile},
		[2]string{"not loaded", s.ConfigProblem},
		[2]string{"store", store},
		[2]string{"messages", queue},
		[2]string{"sendings", strings.Join(totals, ", ")},
		[2]string{"times in", env.zone.String()},
	); err != nil {
		return err
	}
	if err := printInboxes(env, s); err != nil {
		return err
	}
	if err := printChannels(env, s); err != nil {
		return err
	}
	if len(list) == 0 {
		return env.printf("\nNothing is being sent.\n")
	}
	if err := env.printf("\n"); err != nil {
		return err
	}
	if err := printSendings(env, list); err != nil {
		return err
	}
	total := 0
	for state, n := range s.Sendings {
		if all || !state.Final() {
			total += n
		}
	}
	if total > len(list) {
		return env.printf("and %s more: --limit 0 lists them all\n", count(total-len(list)))
	}
	return nil
}

func printInboxes(env *environment, s control.Status) error {
	g := grid{header: []string{"inbox", "waiting", "checking", "other files", "problem"}, right: []int{1, 2, 3}}
	var waits []string
	for _, in := range s.Inboxes {
		g.add(in.Path, count(in.Waiting), count(in.Checking), count(in.Others), in.Problem)
		for _, w := range in.Waits {
			line := fmt.Sprintf("  %s waits", w.Name)
			if !w.Since.IsZero() {
				line += " since " + span(s.Now.Sub(w.Since))
			}
			waits = append(waits, printable(line+": "+w.Reason))
		}
	}
	if len(g.rows) == 0 {
		return nil
	}
	if err := env.printf("\n"); err != nil {
		return err
	}
	if err := env.printGrid(g); err != nil {
		return err
	}
	return lines(env.out, waits)
}

func printChannels(env *environment, s control.Status) error {
	if len(s.Channels) == 0 {
		return nil
	}
	g := grid{header: []string{"application", "channel", "driver", "rate", "in flight", "state"}, right: []int{0, 3, 4}}
	var reasons []string
	for _, ch := range s.Channels {
		if ch.Reason != "" {
			reasons = append(reasons, printable(fmt.Sprintf("  %s of application %d: %s", ch.ChannelType, ch.ApplicationID, env.channelWaitText(ch))))
		}
		g.add(fmt.Sprint(ch.ApplicationID), ch.ChannelType, ch.Driver, rateText(ch), count(ch.InFlight), string(ch.State))
	}
	if err := env.printf("\n"); err != nil {
		return err
	}
	if err := env.printGrid(g); err != nil {
		return err
	}
	return lines(env.out, reasons)
}

func rateText(ch control.Channel) string {
	if ch.Rate == 0 {
		return "no limit"
	}
	if ch.Current > 0 && ch.Current < ch.Rate {
		return fmt.Sprintf("%g/s of %g/s", ch.Current, ch.Rate)
	}
	return fmt.Sprintf("%g/s", ch.Rate)
}

// channelWaitText describes why a channel isn't ok.
func (env *environment) channelWaitText(ch control.Channel) string {
	text := ch.Reason
	if !ch.Since.IsZero() {
		text += ", since " + env.instant(ch.Since)
	}
	if !ch.NextTryAt.IsZero() {
		text += ", next try at " + env.instant(ch.NextTryAt)
	}
	return text
}

func printSendings(env *environment, list []control.Sending) error {
	g := grid{header: []string{"id", "name", "state", "done", "sent", "failed", "planned", "next", "end"}, right: []int{3, 4, 5, 6}}
	var reasons []string
	for _, s := range list {
		end := s.FinishedAt
		if end.IsZero() {
			end = s.EstimatedEnd
		}
		g.add(string(s.ID), s.Name, string(s.State), doneText(s), count(s.Messages.Sent),
			count(s.Messages.Failed+s.Messages.Unknown+s.Messages.Expired), count(s.Messages.Planned), env.when(s.NextSliceAt), env.when(end))
		if s.Reason != "" {
			reasons = append(reasons, printable(fmt.Sprintf("  %s is %s: %s", s.ID, s.State, s.Reason)))
		}
		if s.WaitsFor != nil {
			reasons = append(reasons, printable(fmt.Sprintf("  %s waits: %s", s.ID, env.waitText(s.WaitsFor))))
		}
	}
	if err := env.printGrid(g); err != nil {
		return err
	}
	return lines(env.out, reasons)
}

// doneText returns the share of finished messages, and of an ended sending how many were sent.
func doneText(s control.Sending) string {
	if s.State.Final() && s.Messages.Sent < s.Messages.Planned {
		return fmt.Sprintf("%s of %s sent", count(s.Messages.Sent), count(s.Messages.Planned))
	}
	return percentText(s.Percent)
}

// percentText formats a percentage. It never rounds up to 100, which would mean finished.
func percentText(p float64) string {
	if p > 99.9 && p < 100 {
		p = 99.9
	}
	return fmt.Sprintf("%.1f%%", p)
}
