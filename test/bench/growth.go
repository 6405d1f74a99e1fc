package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// point is the measurement of one drop size.
type point struct {
	rows           int
	intake, send   time.Duration
	store, anonMax int64
}

// growth measures intake and sending from a hundredth of b.rows to ten times
// b.rows, and plots them.
func growth(ctx context.Context, b *bench) error {
	var points []point
	for _, n := range []int{b.rows / 100, b.rows / 10, b.rows, 10 * b.rows} {
		p, err := b.grown(ctx, n)
		if err != nil {
			return err
		}
		points = append(points, p)
	}
	first, last := points[0], points[len(points)-1]
	each := func(d time.Duration, p point) float64 { return float64(d.Nanoseconds()) / float64(p.rows) }
	for _, p := range points {
		b.add(figure{fmt.Sprintf("growth: %d rows", p.rows), fmt.Sprintf("intake %s, sending %s (null)", round(p.intake), round(p.send)),
			fmt.Sprintf("a row %.0f and %.0f ns; %.0f bytes of store; %.0f MiB of memory", each(p.intake, p), each(p.send, p), float64(p.store)/float64(p.rows), float64(p.anonMax)/(1<<20)),
			0, "none", true})
	}
	b.atMost(fmt.Sprintf("intake a row, %d rows against %d", last.rows, first.rows), fmt.Sprintf("%.0f ns", each(last.intake, last)),
		fmt.Sprintf("%.0f ns", each(first.intake, first)), each(last.intake, last)/each(first.intake, first), 1)
	if b.plot == "" {
		return nil
	}
	return os.WriteFile(b.plot, []byte(draw(points)), 0o644)
}

func (b *bench) grown(ctx context.Context, n int) (p point, err error) {
	s, err := b.newSetup(`driver = "null"`)
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(s.dir)
	if err := s.drop("all", n, 0, now); err != nil {
		return p, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return p, err
	}
	ready, err := d.await(ctx, "drop ready", 1)
	if err != nil {
		return p, err
	}
	accepted, err := d.await(ctx, "drop accepted", 1)
	if err != nil {
		return p, err
	}
	ended, err := d.await(ctx, "drop ended", 1)
	if err != nil {
		return p, err
	}
	took, err := finished(ended.Folder)
	if err != nil {
		return p, err
	}
	err = d.stop()
	return point{n, accepted.Time.Sub(ready.Time), took, s.storeBytes(), d.peak}, err
}

// The plot has two panels with logarithmic axes, so that linear growth is a
// straight line.
const (
	plotWidth, panelHeight = 640, 400
	plotLeft, plotBottom   = 70, 340 // of each panel
	plotDecade             = 60      // vertical pixels per factor of ten
)

// curve is one line in a panel.
type curve struct {
	name, colour string
	of           func(point) float64
	say          func(point) string
}

// panel is one chart. labels are the powers of ten on its axis, starting at floor.
type panel struct {
	floor  float64
	labels []string
	curves []curve
}

func draw(points []point) string {
	panels := []panel{
		{0.001, []string{"1 ms", "10 ms", "100 ms", "1 s", "10 s"}, []curve{
			{"from ready to accepted", "#1f6feb", func(p point) float64 { return p.intake.Seconds() }, func(p point) string { return round(p.intake) }},
			{"sending, null driver, all outcomes durable", "#d1520f", func(p point) float64 { return p.send.Seconds() }, func(p point) string { return round(p.send) }},
		}},
		{1e5, []string{"100 kB", "1 MB", "10 MB", "100 MB", "1 GB"}, []curve{
			{"store, outcomes included", "#1a7f37", func(p point) float64 { return float64(p.store) }, func(p point) string { return megabytes(p.store) }},
			{"anonymous memory at its peak", "#8250df", func(p point) float64 { return float64(p.anonMax) }, func(p point) string { return megabytes(p.anonMax) }},
		}},
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, panelHeight*len(panels))
	s.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, p := range panels {
		fmt.Fprintf(&s, `<g transform="translate(0 %d)">`+"\n", i*panelHeight)
		p.draw(&s, points)
		s.WriteString("</g>\n")
	}
	s.WriteString("</svg>\n")
	return s.String()
}

func (pa panel) draw(s *strings.Builder, points []point) {
	x := func(p point) float64 {
		return plotLeft + 40 + 135*math.Log10(float64(p.rows)/float64(points[0].rows))
	}
	y := func(v float64) float64 { return plotBottom - plotDecade*math.Log10(max(v/pa.floor, 1)) }
	for i, label := range pa.labels {
		at := y(pa.floor * math.Pow10(i))
		fmt.Fprintf(s, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, at, plotWidth-20, plotLeft-8, at+4, label)
	}
	for _, p := range points {
		fmt.Fprintf(s, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(p), plotBottom+20, p.rows)
	}
	fmt.Fprintf(s, `<text x="%d" y="%d" text-anchor="middle">rows of one drop</text>`+"\n", plotWidth/2, plotBottom+45)
	for i, c := range pa.curves {
		s.WriteString(`<polyline fill="none" stroke-width="2" stroke="` + c.colour + `" points="`)
		for _, p := range points {
			fmt.Fprintf(s, "%.1f,%.1f ", x(p), y(c.of(p)))
		}
		s.WriteString(`"/>` + "\n")
		for _, p := range points {
			fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%d rows: %s</title></circle>`+"\n", x(p), y(c.of(p)), c.colour, p.rows, c.say(p))
		}
		fmt.Fprintf(s, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotLeft+20, 40+18*i, c.colour, c.name)
	}
}
