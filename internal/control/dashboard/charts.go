package dashboard

import (
	"fmt"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/display"
)

// Charts are drawn on a canvas of this size and stretched to the page. Their text
// is outside the canvas, so that it isn't stretched too.
const (
	canvasWidth  = 960.0
	canvasHeight = 100.0
)

// throughputChart shows the number of final outcomes over time.
type throughputChart struct {
	Boxes []box
	Peak  string
	Mean  string
	From  moment
	Until moment
	Label string
}

func throughputOf(p api.Throughput, l viewer) throughputChart {
	if len(p.Steps) == 0 {
		return throughputChart{}
	}
	most, all := uint64(1), uint64(0)
	for _, s := range p.Steps {
		most = max(most, s.Sent+s.Other)
		all += s.Sent + s.Other
	}
	seconds := p.Step.Seconds()
	c := throughputChart{
		Peak: rate(float64(most) / seconds), Mean: rate(float64(all) / (seconds * float64(len(p.Steps)))),
		From: l.step(p.Start, p.Step), Until: l.step(p.Start.Add(time.Duration(len(p.Steps))*p.Step), p.Step),
	}
	c.Label = fmt.Sprintf("Messages over time, from %s to %s: at most %s, %s on average", c.From.Text, c.Until.Text, c.Peak, c.Mean)
	width := canvasWidth / float64(max(len(p.Steps), 12))
	for i, s := range p.Steps {
		sent, other := canvasHeight*float64(s.Sent)/float64(most), canvasHeight*float64(s.Other)/float64(most)
		x, w := float64(i)*width, width*0.86
		title := fmt.Sprintf("%s: %s sent", l.step(p.Start.Add(time.Duration(i)*p.Step), p.Step).Text, display.Number(s.Sent))
		if s.Other > 0 {
			title += fmt.Sprintf(", %s not", display.Number(s.Other))
			c.Boxes = append(c.Boxes, boxOf(x, canvasHeight-sent-other, w, other, "failed", title))
		}
		if s.Sent > 0 {
			c.Boxes = append(c.Boxes, boxOf(x, canvasHeight-sent, w, sent, "sent", title))
		}
	}
	return c
}

// sliceChart shows how a sending is spread over its slots.
type sliceChart struct {
	Boxes []box
	From  moment
	Until moment
	Most  string
	Label string
	Rows  []sliceRow
	More  int // slices that aren't in the table
}

type sliceRow struct {
	Start, End moment
	Recipients string
	Past       bool
}

// maxSliceRows limits the table; the chart shows all slices.
const maxSliceRows = 200

func slicesOf(s api.Details, l viewer) sliceChart {
	var c sliceChart
	var from, until time.Time
	var most uint32
	sliced := 0
	for _, one := range s.Slices {
		if one.End.IsZero() {
			continue // not sliced
		}
		if sliced == 0 || one.Start.Before(from) {
			from = one.Start
		}
		if one.End.After(until) {
			until = one.End
		}
		most = max(most, one.Recipients)
		sliced++
		if len(c.Rows) < maxSliceRows {
			c.Rows = append(c.Rows, sliceRow{l.moment(one.Start), l.moment(one.End), display.Number(one.Recipients), !one.End.After(l.now)})
		} else {
			c.More++
		}
	}
	if sliced == 0 || most == 0 {
		return c
	}
	c.From, c.Until, c.Most = l.moment(from), l.moment(until), display.Amount(most, "recipient")
	c.Label = fmt.Sprintf("%s from %s to %s, at most %s each", display.Amount(sliced, "slice"), c.From.Text, c.Until.Text, c.Most)
	length := until.Sub(from).Seconds()
	for _, one := range s.Slices {
		if one.End.IsZero() {
			continue
		}
		x := canvasWidth * one.Start.Sub(from).Seconds() / length
		w := canvasWidth * one.End.Sub(one.Start).Seconds() / length
		h := canvasHeight * float64(one.Recipients) / float64(most)
		class := "ahead"
		switch {
		case !one.End.After(l.now):
			class = "past"
		case !one.Start.After(l.now):
			class = "present"
		}
		c.Boxes = append(c.Boxes, boxOf(x+w*0.05, canvasHeight-h, min(w*0.9, canvasWidth/12), h, class,
			fmt.Sprintf("%s to %s: %s", l.moment(one.Start).Text, l.moment(one.End).Text, display.Amount(one.Recipients, "recipient"))))
	}
	return c
}
