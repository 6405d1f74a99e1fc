package main

import (
	"cmp"
	"fmt"
	"strings"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

func printStatus(env *environment, s api.Status) error {
	running := fmt.Sprintf("campaignd %s, process %d, up %s", s.Version, s.PID, span(s.Now.Sub(s.StartedAt)))
	if s.Stopping {
		running += ", stopping"
	}
	var totals []string
	for _, state := range campaign.States {
		if n := s.Sendings[state]; n > 0 {
			totals = append(totals, display.Number(n)+" "+string(state))
		}
	}
	queue := fmt.Sprintf("%s pending, %s in flight, %s retrying", display.Number(s.Queue.Pending), display.Number(s.Queue.InFlight), display.Number(s.Queue.Retrying))
	if !s.Queue.NextAt.IsZero() {
		queue += ", next at " + env.instant(s.Queue.NextAt)
	}
	store := fmt.Sprintf("%s, %s (%s of it free; the disk has %s)", s.Store.Path, display.Bytes(s.Store.Bytes), display.Bytes(s.Store.FreeBytes), display.Bytes(s.Store.DiskFree))
	env.facts(
		[2]string{"daemon", running},
		[2]string{"config", s.ConfigFile},
		[2]string{"not loaded", s.ConfigProblem},
		[2]string{"store", store},
		[2]string{"messages", queue},
		[2]string{"sendings", strings.Join(totals, ", ")},
		[2]string{"workers", clusterText(s.Cluster)},
		[2]string{"standby", standbyText(s.Cluster)},
		[2]string{"times in", env.zone.String()},
	)
	printInboxes(env, s)
	return printChannels(env, s)
}

// printStandby prints the status of a process that doesn't lead.
func printStandby(env *environment, s api.Status) error {
	r, server := s.Cluster.Replication, "no NATS server answers"
	if s.Cluster.Server != "" {
		server = s.Cluster.Server
	}
	var copied string
	switch {
	case s.Cluster.Role != api.RoleStandby || r.Problem != "":
	case r.Ready:
		copied = fmt.Sprintf("complete, %.1f s behind", r.Lag)
	default:
		copied = fmt.Sprintf("incomplete: %s are missing", display.Amount(int(r.Behind), "message"))
	}
	return env.facts(
		[2]string{"daemon", fmt.Sprintf("campaignd %s, process %d, up %s", s.Version, s.PID, span(s.Now.Sub(s.StartedAt)))},
		[2]string{"config", s.ConfigFile},
		[2]string{"role", s.Cluster.Role},
		[2]string{"problem", cmp.Or(s.Cluster.Problem, r.Problem)},
		[2]string{"hub", r.Hub},
		[2]string{"copy", copied},
		[2]string{"NATS", server},
	)
}

// standbyText describes replication in a line, "" without [standby].
func standbyText(c *api.Cluster) string {
	if c == nil || c.Replication == nil {
		return ""
	}
	r := c.Replication
	text := "none follows"
	switch {
	case r.Standby != "" && r.Ready:
		text = fmt.Sprintf("%s follows, %.1f s behind", r.Standby, r.Lag)
	case r.Standby != "":
		text = r.Standby + " fetches the store"
	}
	if r.Problem != "" {
		text += "; not replicated: " + r.Problem
	}
	return text
}

// clusterText describes the workers in a line, "" without [nats].
func clusterText(c *api.Cluster) string {
	if c == nil {
		return ""
	}
	places, busy := 0, 0
	for _, w := range c.Workers {
		places, busy = places+w.Places, busy+w.InFlight
	}
	text := fmt.Sprintf("%s with %s, %s busy", display.Amount(len(c.Workers), "worker"), display.Amount(places, "place"), display.Number(busy))
	switch {
	case c.Server == "":
		return text + "; no NATS server answers"
	case c.Problem != "":
		return text + "; nothing is handed out: " + c.Problem
	}
	return text + "; NATS is at " + c.Server
}

func printInboxes(env *environment, s api.Status) error {
	g := grid{header: []string{"inbox", "waiting", "checking", "other files", "problem"}, right: []int{1, 2, 3}, wrap: 5, drop: []int{3, 2}}
	var waits []string
	for _, in := range s.Inboxes {
		g.add(in.Path, display.Number(in.Waiting), display.Number(in.Checking), display.Number(in.Others), in.Problem)
		for _, w := range in.Waits {
			line := fmt.Sprintf("  %s waits", w.Name)
			if !w.Since.IsZero() {
				line = fmt.Sprintf("  %s has waited %s", w.Name, span(s.Now.Sub(w.Since)))
			}
			waits = append(waits, printable(line+": "+w.Reason))
		}
	}
	if len(g.rows) == 0 {
		return nil
	}
	env.printf("\n")
	env.printGrid(g)
	return env.lines(waits)
}

func printChannels(env *environment, s api.Status) error {
	if len(s.Channels) == 0 {
		return nil
	}
	g := grid{header: []string{"application", "channel", "driver", "rate", "in flight", "state"}, right: []int{0, 3, 4}, wrap: 2, drop: []int{2, 4, 3}}
	var reasons []string
	for _, ch := range s.Channels {
		if ch.Reason != "" {
			reasons = append(reasons, printable(fmt.Sprintf("  %s of application %d: %s", ch.ChannelType, ch.ApplicationID, env.channelWaitText(ch))))
		}
		g.add(fmt.Sprint(ch.ApplicationID), ch.ChannelType, ch.Driver, rateText(ch), display.Number(ch.InFlight), string(ch.State))
	}
	env.printf("\n")
	env.printGrid(g)
	return env.lines(reasons)
}

func rateText(ch api.Channel) string {
	if ch.Rate == 0 {
		return "no limit"
	}
	if ch.Current > 0 && ch.Current < ch.Rate {
		return fmt.Sprintf("%g/s of %g/s", ch.Current, ch.Rate)
	}
	return fmt.Sprintf("%g/s", ch.Rate)
}

// channelWaitText describes why a channel isn't ok.
func (env *environment) channelWaitText(ch api.Channel) string {
	return env.reasonText(ch.Reason, ch.Since, "next try at", ch.NextTryAt)
}

func printSendings(env *environment, list []api.Sending) error {
	g := grid{header: []string{"id", "name", "state", "done", "sent", "failed", "expired", "unknown", "planned", "next", "end"},
		right: []int{3, 4, 5, 6, 7, 8}, wrap: 2, drop: []int{9, 8, 7, 10, 4, 6, 5}}
	var reasons []string
	for _, s := range list {
		end := s.FinishedAt
		if end.IsZero() {
			end = s.EstimatedEnd
		}
		g.add(string(s.ID), s.Name, string(s.State), doneText(s), display.Number(s.Messages.Sent),
			display.Number(s.Messages.Failed), display.Number(s.Messages.Expired), display.Number(s.Messages.Unknown), display.Number(s.Messages.Planned),
			env.when(s.NextSliceAt), env.when(end))
		reason, wait := env.reasonTexts(s)
		if reason != "" {
			reasons = append(reasons, printable(fmt.Sprintf("  %s is %s: %s", s.ID, s.State, reason)))
		}
		if wait != "" {
			reasons = append(reasons, printable(fmt.Sprintf("  %s waits: %s", s.ID, wait)))
		}
	}
	env.printGrid(g)
	return env.lines(reasons)
}

// doneText returns the share of finished messages. Of an ended sending with messages that didn't
// arrive it returns how many were sent, and of a rejected drop, which never had messages, nothing.
func doneText(s api.Sending) string {
	if s.State == campaign.StateRejected {
		return ""
	}
	if s.State.Final() && s.Messages.Sent < s.Messages.Planned+s.Undelivered() {
		return sentText(s)
	}
	return percentText(s.Percent)
}

// sentText tells how many messages of an ended sending were sent.
func sentText(s api.Sending) string {
	text := fmt.Sprintf("%s of %s sent", display.Number(s.Messages.Sent), display.Number(s.Messages.Planned))
	if n := s.Undelivered(); n > 0 {
		text += fmt.Sprintf(", %s not delivered", display.Number(n))
	}
	return text
}

// percentText formats a percentage. It never rounds up to 100, which would mean finished.
func percentText(p float64) string {
	if p > 99.9 && p < 100 {
		p = 99.9
	}
	return fmt.Sprintf("%.1f%%", p)
}
