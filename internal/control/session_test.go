package control

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sessions
		value := s.open("token")
		if _, ok := s.find(value, "token"); !ok {
			t.Error("it isn't there")
		}
		if _, ok := s.find(value+"x", "token"); ok {
			t.Error("another value opens it")
		}
		time.Sleep(sessionLength - time.Second)
		if _, ok := s.find(value, "token"); !ok {
			t.Error("it ended early")
		}
		time.Sleep(2 * time.Second)
		switch _, ok := s.find(value, "token"); {
		case ok:
			t.Error("it never ends")
		case len(s.list) != 0:
			t.Errorf("it never ends: len(s.list) = %v, want 0", len(s.list))
		}
		for i := range maxSessions + 10 {
			value = s.open("token")
			if i == 0 {
				defer func(first string) {
					if _, ok := s.find(first, "token"); ok {
						t.Error("the oldest stayed")
					}
				}(value)
			}
			time.Sleep(time.Millisecond)
		}
		switch _, ok := s.find(value, "token"); {
		case !ok:
			t.Errorf("%d sessions, the newest there: %t", len(s.list), ok)
		case len(s.list) != maxSessions:
			t.Errorf("%d sessions, the newest there: len(s.list) = %v, want %v", len(s.list), len(s.list), maxSessions)
		}
		if _, ok := s.find(value, "another"); ok {
			t.Error("it holds with another token")
		}
	})
}

func TestThroughput(t *testing.T) {
	start := time.Date(2026, 3, 14, 12, 0, 7, 0, time.UTC)
	for _, c := range []struct {
		seconds []int
		step    time.Duration
		steps   int
	}{
		{nil, 0, 0},
		{[]int{0}, time.Second, 1},
		{[]int{0, 0, 95}, time.Second, 96},
		{[]int{96, 0}, 2 * time.Second, 49}, // 12:00:06 is the first step's beginning
		{[]int{0, 3600}, time.Minute, 61},
		{[]int{0, 48 * 3600}, time.Hour, 49},
		{[]int{0, 90 * 86400}, 24 * time.Hour, 91},
		{[]int{0, 1000 * 86400}, 16 * 24 * time.Hour, 64},
	} {
		var tally api.Tally
		for i, s := range c.seconds {
			o := campaign.Sent
			if i%2 == 1 {
				o = campaign.Failed
			}
			tally.Add(start.Add(time.Duration(s)*time.Second), o)
		}
		p := tally.Throughput()
		var sent, other uint64
		for _, s := range p.Steps {
			sent, other = sent+s.Sent, other+s.Other
		}
		name := fmt.Sprint(c.seconds)
		switch {
		case p.Step != c.step:
			t.Errorf("%s: p.Step: got %v, want %v", name, p.Step, c.step)
		case len(p.Steps) != c.steps:
			t.Errorf("%s: len(p.Steps): got %v, want %v", name, len(p.Steps), c.steps)
		case sent != uint64((len(c.seconds)+1)/2):
			t.Errorf("%s: sent: got %v, want %v", name, sent, uint64((len(c.seconds)+1)/2))
		case other != uint64(len(c.seconds)/2):
			t.Errorf("%s: other: got %v, want %v", name, other, uint64(len(c.seconds)/2))
		}
		if len(p.Steps) == 0 {
			continue
		}
		if p.Start.After(start) {
			t.Errorf("%s: begins at %s, want no later than %s", name, p.Start, start)
		}
		if off := p.Start.Unix() % int64(p.Step/time.Second); off != 0 {
			t.Errorf("%s: begins %d s after a multiple of %s, want 0", name, off, p.Step)
		}
	}
}
