package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// point is what one size of drop took.
type point struct {
	rows           int
	intake, send   time.Duration
	store, anonMax int64
}

// growth measures intake and sending from a hundredth of b.rows to ten times as
// many, and draws them.
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
	_, err = d.stop()
	return point{n, accepted.Time.Sub(ready.Time), took, s.storeBytes(), d.peak}, err
}

// The plot: both axes logarithmic, so that what grows in proportion is a straight
// line that rises at 45 degrees.
const (
	plotWidth, plotHeight = 640, 400
	plotLeft, plotBottom  = 70, 340
	plotUnit              = 90 // pixels of a factor of ten
)

func draw(points []point) string {
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	s.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	x := func(rows int) float64 {
		return plotLeft + 40 + 1.5*plotUnit*math.Log10(float64(rows)/float64(points[0].rows))
	}
	y := func(d time.Duration) float64 {
		return plotBottom - plotUnit/1.5*(math.Log10(math.Max(d.Seconds(), 0.001))+3)
	}
	for i, label := range []string{"1 ms", "10 ms", "100 ms", "1 s", "10 s"} {
		at := y(time.Duration(math.Pow10(i)) * time.Millisecond)
		fmt.Fprintf(&s, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, at, plotWidth-20, plotLeft-8, at+4, label)
	}
	for _, p := range points {
		fmt.Fprintf(&s, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(p.rows), plotBottom+20, p.rows)
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="middle">rows of one drop</text>`+"\n", plotWidth/2, plotBottom+45)
	line := func(name, colour string, row int, of func(point) time.Duration) {
		s.WriteString(`<polyline fill="none" stroke-width="2" stroke="` + colour + `" points="`)
		for _, p := range points {
			fmt.Fprintf(&s, "%.1f,%.1f ", x(p.rows), y(of(p)))
		}
		s.WriteString(`"/>` + "\n")
		for _, p := range points {
			fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%d rows: %s</title></circle>`+"\n", x(p.rows), y(of(p)), colour, p.rows, round(of(p)))
		}
		fmt.Fprintf(&s, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotLeft+20, 40+18*row, colour, name)
	}
	line("from ready to accepted", "#1f6feb", 0, func(p point) time.Duration { return p.intake })
	line("sending, null driver, all outcomes durable", "#d1520f", 1, func(p point) time.Duration { return p.send })
	s.WriteString("</svg>\n")
	return s.String()
}
