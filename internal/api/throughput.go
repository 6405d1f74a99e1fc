package api

import (
	"time"

	"campaignd/internal/campaign"
)

// Throughput counts a sending's results over time, in consecutive steps of equal
// length. The zero Throughput belongs to a sending without results.
type Throughput struct {
	Start time.Time     // a multiple of Step since the Unix epoch
	Step  time.Duration // whole seconds
	Steps []ThroughputStep
}

// ThroughputStep counts the messages that reached a final outcome within a step.
type ThroughputStep struct {
	Sent  uint64
	Other uint64 // failed, unknown, expired …
}

// maxSteps limits the steps of a Throughput to what a chart as wide as a page can show.
const maxSteps = 96

// Tally counts results by the second. The zero Tally is ready to use. It keeps
// only seconds with results, so a wall clock that jumps by years costs no memory.
type Tally struct {
	seconds     map[int64]*ThroughputStep
	first, last int64 // Unix seconds
}

// Add counts one result.
func (t *Tally) Add(at time.Time, o campaign.Outcome) {
	second := at.Unix()
	if t.seconds == nil {
		t.seconds, t.first, t.last = map[int64]*ThroughputStep{}, second, second
	}
	t.first, t.last = min(t.first, second), max(t.last, second)
	step := t.seconds[second]
	if step == nil {
		step = &ThroughputStep{}
		t.seconds[second] = step
	}
	if o == campaign.Sent {
		step.Sent++
	} else {
		step.Other++
	}
}

// Throughput groups the seconds into at most 96 steps of a round length.
func (t *Tally) Throughput() Throughput {
	if len(t.seconds) == 0 {
		return Throughput{}
	}
	step := int64(1)
	for _, step = range []int64{1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200, 6 * 3600, 86400} {
		if t.last/step-t.first/step < maxSteps {
			break
		}
	}
	for t.last/step-t.first/step >= maxSteps {
		step *= 2
	}
	p := Throughput{Start: time.Unix(t.first/step*step, 0).UTC(), Step: time.Duration(step) * time.Second,
		Steps: make([]ThroughputStep, t.last/step-t.first/step+1)}
	for second, n := range t.seconds {
		one := &p.Steps[second/step-t.first/step]
		one.Sent += n.Sent
		one.Other += n.Other
	}
	return p
}
