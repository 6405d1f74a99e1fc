package send

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestThrottledRate: a throttle halves the rate, answers that were on their way with it don't
// halve it again, and it comes back by a step each ten seconds, traffic or not.
func TestThrottledRate(t *testing.T) {
	const second = time.Second
	for _, x := range []struct {
		name string
		full float64
		slow []time.Duration // when the provider throttles
		at   []time.Duration
		want []float64 // in force then
	}{
		{"once", 80, []time.Duration{0}, []time.Duration{0, 9 * second, 10 * second, 20 * second, 30 * second, 40 * second, time.Hour},
			[]float64{40, 40, 50, 62.5, 78.125, 80, 80}},
		{"by answers of the same moment", 80, []time.Duration{0, second / 2, second * 9 / 10}, []time.Duration{second}, []float64{40}},
		{"again", 80, []time.Duration{0, second, 3 * second}, []time.Duration{3 * second, 12 * second, 13 * second}, []float64{10, 10, 12.5}},
		{"while it recovers", 80, []time.Duration{0, 25 * second}, []time.Duration{25 * second, 34 * second, 35 * second}, []float64{31.25, 31.25, 39.0625}},
		{"never to a stop", 0.15, []time.Duration{0, 2 * second}, []time.Duration{2 * second}, []float64{minRate}},
		{"idle since", 80, []time.Duration{0, second, 2 * second, 3 * second, 4 * second}, []time.Duration{5 * second, 10 * time.Minute}, []float64{2.5, 80}},
		{"without a rate of its own", 0, []time.Duration{0}, []time.Duration{0, 10 * second, time.Hour}, []float64{50, 62.5, 0}},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, start := &rateLimiter{}, time.Now()
			p.configure(x.full)
			if x.full == 0 {
				p.allow(start, 100)
			}
			for _, at := range x.slow {
				p.halve(start.Add(at))
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
