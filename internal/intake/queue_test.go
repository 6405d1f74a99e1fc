package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whatever is put in and taken out, in whatever order: every job comes out once, those
// of an inbox in their order, and no inbox waits for more than one job of each other
// (docs/contract.md 12, promise 4).
func TestQueueIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue[int]()
		type job struct{ inbox, name string }
		waiting := map[string][]int{} // by inbox, in order
		jobs := map[int]job{}
		known := map[job]bool{}
		at := map[job]func(){} // at work: its done
		passed := map[string]map[string]int{}
		next := 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				j := job{fmt.Sprint("in", rapid.IntRange(0, 3).Draw(t, "inbox")), fmt.Sprint("n", rapid.IntRange(0, 9).Draw(t, "name"))}
				next++
				q.put(j.inbox, j.name, next)
				if known[j] {
					continue
				}
				known[j] = true
				jobs[next] = j
				if len(waiting[j.inbox]) == 0 {
					passed[j.inbox] = map[string]int{}
				}
				waiting[j.inbox] = append(waiting[j.inbox], next)
			case 2:
				n, done, ok := q.pop()
				left := 0
				for _, list := range waiting {
					left += len(list)
				}
				if ok != (left > 0) {
					t.Fatalf("popped %v with %d waiting", ok, left)
				}
				if !ok {
					continue
				}
				j := jobs[n]
				if waiting[j.inbox][0] != n {
					t.Fatalf("%d of %s came before %v", n, j.inbox, waiting[j.inbox])
				}
				waiting[j.inbox] = waiting[j.inbox][1:]
				passed[j.inbox] = map[string]int{}
				for other, list := range waiting {
					if other == j.inbox || len(list) == 0 {
						continue
					}
					if passed[other][j.inbox]++; passed[other][j.inbox] > 1 {
						t.Fatalf("%s came twice while %s waited", j.inbox, other)
					}
				}
				at[j] = done
			case 3:
				for j, done := range at {
					if !q.busy(j.inbox, j.name) {
						t.Fatalf("%v is at work and not busy", j)
					}
					done()
					delete(at, j)
					delete(known, j)
					if q.busy(j.inbox, j.name) {
						t.Fatalf("%v is done and busy", j)
					}
					break
				}
			}
		}
	})
}

// Every worker is woken while there is work, and all of it is done.
func TestQueueWakesItsWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int]()
		ctx, cancel := context.WithCancel(t.Context())
		taken := make(chan int, 100)
		for range 3 {
			go func() {
				for {
					n, done, err := q.take(ctx)
					if errors.Is(err, context.Canceled) {
						return
					}
					time.Sleep(time.Second) // virtual
					taken <- n
					done()
				}
			}()
		}
		begin := time.Now()
		for i := range 30 {
			q.put(fmt.Sprint(i%2), fmt.Sprint(i), i)
		}
		var all []int
		for range 30 {
			all = append(all, <-taken)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("three workers took %v for 30s of work", took)
		}
		switch slices.Sort(all); {
		case all[0] != 0:
			t.Errorf("all[0] = %v, want 0", all[0])
		case all[29] != 29:
			t.Errorf("all[29] = %v, want 29", all[29])
		}
		cancel()
	})
}
