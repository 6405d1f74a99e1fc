package dashboard

import (
	"fmt"
	"strconv"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// bar is how far a sending is, as a picture: stretches side by side, in percent
// of the whole.
type bar struct {
	Label   string // for a screen reader
	Now     string // percent
	Parts   []stretch
	Nothing bool // there is no progress to show
}

// stretch is one outcome's part of a bar.
type stretch struct {
	Class         string
	X, W          string // percent
	Label, Number string // for a legend
	Share         string
}

// kinds are the parts of a bar in its order, from what is settled to what is not.
func kinds(m control.Messages) []struct {
	class, label string
	n            uint64
} {
	return []struct {
		class, label string
		n            uint64
	}{
		{"sent", "sent", m.Sent}, {"failed", "failed", m.Failed}, {"unknown", "unknown: sent or not, no one can tell", m.Unknown},
		{"expired", "expired", m.Expired}, {"canceled", "canceled", m.Canceled}, {"suppressed", "suppressed: opted out", m.Suppressed},
		{"skipped", "skipped: the message before it failed", m.Skipped}, {"flight", "in flight", m.InFlight}, {"retrying", "to be tried again", m.Retrying},
		{"pending", "not sent yet", m.Pending},
	}
}

func barOf(s control.Sending) bar {
	b := bar{Label: s.Name, Now: decimal(s.Percent)}
	if s.State == campaign.StateRejected || s.DryRun {
		b.Nothing = true
		return b
	}
	if s.State == campaign.StateChecking {
		b.Parts = []stretch{{Class: "checking", X: "0", W: decimal(s.Percent)}}
		return b
	}
	b.Parts = stretches(s.Messages)
	return b
}

// stretches lays the outcomes side by side. All of them are there, those of
// nothing with no width, so that a bar that moves keeps its parts.
func stretches(m control.Messages) []stretch {
	if m.Planned == 0 {
		return nil
	}
	var list []stretch
	x := 0.0
	for _, k := range kinds(m) {
		w := 100 * float64(k.n) / float64(m.Planned)
		list = append(list, stretch{Class: k.class, X: decimal(x), W: decimal(w), Label: k.label, Number: count(k.n), Share: percent(w)})
		x += w
	}
	return list
}

// decimal is a number for SVG.
func decimal(v float64) string {
	return strconv.FormatFloat(v, 'f', -1, 32)
}

// legend is a bar's parts that have something, those unsettled left out where there are none.
func legend(m control.Messages) []stretch {
	var list []stretch
	for i, s := range stretches(m) {
		if s.Number != "0" || i == 0 {
			list = append(list, s)
		}
	}
	return list
}

// box is a rectangle of a picture.
type box struct {
	X, Y, W, H string
	Class      string
	Title      string
}

func boxOf(x, y, w, h float64, class, title string) box {
	f := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	return box{f(x), f(y), f(w), f(h), class, title}
}
