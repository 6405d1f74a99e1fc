package dashboard

import (
	"fmt"
	"strconv"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// bar is a sending's progress bar: segments side by side, in percent of the whole.
type bar struct {
	Label string // for a screen reader
	Value string // percent
	Parts []segment
	Empty bool // draw nothing
}

// segment is the part of a bar that shows one outcome.
type segment struct {
	Class         string
	X, W          string // percent
	Label, Number string // for a legend
	Share         string
}

// outcomeParts lists the parts of a bar in order, final outcomes first.
func outcomeParts(m api.Messages) []struct {
	class, label string
	n            uint64
} {
	return []struct {
		class, label string
		n            uint64
	}{
		{"sent", "sent", m.Sent}, {"failed", "failed", m.Failed}, {"unknown", "unknown: may have been delivered", m.Unknown},
		{"expired", "expired", m.Expired}, {"canceled", "canceled", m.Canceled}, {"suppressed", "suppressed: opted out", m.Suppressed},
		{"skipped", "skipped: the message before it failed", m.Skipped}, {"flight", "in flight", m.InFlight}, {"retrying", "waiting for a retry", m.Retrying},
		{"pending", "not sent yet", m.Pending},
	}
}

func barOf(s api.Sending) bar {
	b := bar{Label: s.Name, Value: decimal(s.Percent)}
	if s.State == campaign.StateRejected || s.DryRun {
		b.Empty = true
		return b
	}
	if s.State == campaign.StateChecking {
		b.Parts = []segment{{Class: "checking", X: "0", W: decimal(s.Percent)}}
		return b
	}
	b.Parts = segments(s.Messages)
	return b
}

// segments places the outcomes side by side. Outcomes without messages have no
// width but are kept, so that a bar that changes keeps its parts.
func segments(m api.Messages) []segment {
	if m.Planned == 0 {
		return nil
	}
	var list []segment
	x := 0.0
	for _, k := range outcomeParts(m) {
		w := 100 * float64(k.n) / float64(m.Planned)
		list = append(list, segment{Class: k.class, X: decimal(x), W: decimal(w), Label: k.label, Number: display.Number(k.n), Share: percent(w)})
		x += w
	}
	return list
}

// decimal formats a number for SVG.
func decimal(v float64) string {
	return strconv.FormatFloat(v, 'f', -1, 32)
}

// legend returns the segments that aren't empty, and always the first.
func legend(m api.Messages) []segment {
	var list []segment
	for i, s := range segments(m) {
		if s.Number != "0" || i == 0 {
			list = append(list, s)
		}
	}
	return list
}

// box is a rectangle of a chart.
type box struct {
	X, Y, W, H string
	Class      string
	Title      string
}

func boxOf(x, y, w, h float64, class, title string) box {
	f := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	return box{f(x), f(y), f(w), f(h), class, title}
}
