package send

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A throttle halves the rate once, whatever the number of throttled answers, and the rate
// recovers step by step within a minute after the last one, with or without traffic.
func TestThrottledRate(t *testing.T) {
	const second = time.Second
	for _, x := range []struct {
		name string
		full float64
		slow []time.Duration // begins of throttles
		more []time.Duration // further throttled answers
		at   []time.Duration
		want []float64 // in force then
	}{
		{"once", 80, []time.Duration{0}, nil, []time.Duration{0, 9 * second, 10 * second, 20 * second, 30 * second, 40 * second, time.Hour},
			[]float64{40, 40, 50, 62.5, 78.125, 80, 80}},
		{"many answers", 80, []time.Duration{0}, []time.Duration{second / 2, 5 * second}, []time.Duration{14 * second, 15 * second, 60 * second}, []float64{40, 50, 80}},
		{"again", 80, []time.Duration{0, second, 3 * second}, nil, []time.Duration{3 * second, 12 * second, 13 * second, 53 * second}, []float64{10, 10, 10 * math.Pow(8, 0.2), 80}},
		{"while it recovers", 80, []time.Duration{0, 25 * second}, nil, []time.Duration{25 * second, 34 * second, 35 * second}, []float64{31.25, 31.25, 39.0625}},
		{"never to a stop", 0.15, []time.Duration{0, 2 * second}, nil, []time.Duration{2 * second}, []float64{minRate}},
		{"idle since", 80, []time.Duration{0, second, 2 * second, 3 * second, 4 * second}, nil, []time.Duration{5 * second, 10 * time.Minute}, []float64{2.5, 80}},
		{"every second answer for 15 seconds", 80,
			[]time.Duration{0, 2 * second, 4 * second, 6 * second, 8 * second, 10 * second, 12 * second, 14 * second}, nil,
			[]time.Duration{23 * second, 64 * second}, []float64{0.3125, 80}},
		{"often, without a rate of its own", 0, slices.Repeat([]time.Duration{0}, 8), nil, []time.Duration{9 * second, 49 * second, 50 * second}, []float64{0.390625, 0.390625 * math.Pow(384, 0.8), 0}},
		{"without a rate of its own", 0, []time.Duration{0}, nil, []time.Duration{0, 10 * second, time.Minute}, []float64{50, 62.5, 0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, start := &rateLimiter{}, time.Now()
			p.configure(x.full)
			if x.full == 0 {
				p.allow(start, 100)
			}
			for _, at := range x.slow {
				p.throttled(start.Add(at), start.Add(at), true)
			}
			for _, at := range x.more {
				p.throttled(start.Add(at), start.Add(at), false)
			}
			var got []float64
			for _, at := range x.at {
				got = append(got, p.currentRate(start.Add(at)))
			}
			if diff := cmp.Diff(x.want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
