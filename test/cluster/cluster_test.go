package cluster

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// allSent checks that every message was sent.
func (w *world) allSent(name string, rows int) {
	w.t.Helper()
	if got := w.outcomes(name, time.Minute); got["sent"] != rows || len(got) != 1 {
		w.t.Errorf("%s: outcomes are %v, want %d sent", name, got, rows)
	}
}

func (w *world) noneTwice() {
	w.t.Helper()
	if _, twice := w.hook.count(); twice > 0 {
		w.t.Errorf("%d messages arrived more than once", twice)
	}
}

func TestTwoWorkersSendEveryMessageOnce(t *testing.T) {
	w := newWorld(t, 0)
	w.nats()
	w.hub()
	w.worker(1)
	w.worker(2)
	w.workersRun(2)
	const rows = 300
	w.drop("spring", viaRetry, rows)
	w.drop("autumn", viaHold, rows)
	w.allSent("spring", rows)
	w.allSent("autumn", rows)
	w.noneTwice()
}

// What the killed worker had claimed is resent under its key where on_unknown is "retry", and left to a
// person where it is "hold": at most the worker's concurrency.
func TestAWorkerIsKilled(t *testing.T) {
	for round := range rounds(t) {
		for _, channel := range []string{viaRetry, viaHold} {
			t.Run(fmt.Sprint(channel, round), func(t *testing.T) {
				w := newWorld(t, 20*time.Millisecond)
				w.nats()
				w.hub()
				first := w.worker(1)
				w.worker(2)
				w.workersRun(2)
				const rows = 500
				w.drop("spring", channel, rows)
				w.arrived(50 + 17*round)
				first.kill()
				w.settled("spring", channel, rows, concurrency)
			})
		}
	}
}

// settled checks the outcomes of a drop after an accident that may leave at most unknown messages in doubt.
func (w *world) settled(name, channel string, rows, unknown int) {
	w.t.Helper()
	got := w.outcomes(name, 2*time.Minute)
	if got["sent"]+got["unknown"] != rows {
		w.t.Errorf("outcomes are %v, want %d sent or unknown", got, rows)
	}
	if channel == viaHold {
		w.noneTwice()
	} else {
		unknown = 0
	}
	if got["unknown"] > unknown {
		w.t.Errorf("%d messages are unknown, want at most %d", got["unknown"], unknown)
	}
}

func TestAWorkerIsFrozen(t *testing.T) {
	for round := range rounds(t) {
		for _, channel := range []string{viaRetry, viaHold} {
			t.Run(fmt.Sprint(channel, round), func(t *testing.T) {
				w := newWorld(t, 20*time.Millisecond)
				w.nats()
				w.hub()
				first := w.worker(1)
				w.worker(2)
				w.workersRun(2)
				const rows = 500
				w.drop("spring", channel, rows)
				w.arrived(50 + 17*round)
				first.signal(syscall.SIGSTOP)
				timer := time.NewTimer(12 * time.Second)
				defer timer.Stop()
				<-timer.C // the accident lasts so long
				first.signal(syscall.SIGCONT)
				w.settled("spring", channel, rows, concurrency)
			})
		}
	}
}

func TestNATSIsKilled(t *testing.T) {
	for round := range rounds(t) {
		for _, channel := range []string{viaRetry, viaHold} {
			t.Run(fmt.Sprint(channel, round), func(t *testing.T) {
				w := newWorld(t, 20*time.Millisecond)
				nats := w.nats()
				w.hub()
				w.worker(1)
				w.worker(2)
				w.workersRun(2)
				const rows = 500
				w.drop("spring", channel, rows)
				w.arrived(50 + 17*round)
				nats.kill()
				w.nats()
				w.settled("spring", channel, rows, 0)
			})
		}
	}
}

func TestTheHubIsKilled(t *testing.T) {
	for round := range rounds(t) {
		for _, channel := range []string{viaRetry, viaHold} {
			t.Run(fmt.Sprint(channel, round), func(t *testing.T) {
				w := newWorld(t, 20*time.Millisecond)
				w.nats()
				hub := w.hub()
				w.worker(1)
				w.worker(2)
				w.workersRun(2)
				const rows = 500
				w.drop("spring", channel, rows)
				w.arrived(50 + 17*round)
				hub.kill()
				w.hub()
				w.settled("spring", channel, rows, 0)
				w.noneTwice()
			})
		}
	}
}

// A worker that is told to end finishes what it has begun, and another one sends the rest.
func TestAWorkerEndsInOrder(t *testing.T) {
	for round := range rounds(t) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := newWorld(t, 20*time.Millisecond)
			w.nats()
			w.hub()
			first := w.worker(1)
			w.workersRun(1)
			const rows = 300
			w.drop("spring", viaHold, rows)
			w.arrived(20 + 17*round)
			first.signal(syscall.SIGTERM)
			w.worker(2)
			w.allSent("spring", rows)
			w.noneTwice()
		})
	}
}
