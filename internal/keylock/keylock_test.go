package keylock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneHolderPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Locks[string]
		unlock := l.Lock("a")
		l.Lock("b")()
		got := make(chan struct{}, 2)
		for range 2 {
			go func() {
				defer l.Lock("a")()
				got <- struct{}{}
			}()
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Error("locked twice")
		}
		unlock()
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("%d waiters got the lock, want 2", len(got))
		}
		if len(l.held) != 0 {
			t.Errorf("%d locks are held, want 0", len(l.held))
		}
	})
}

func TestWaiterGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Locks[int]
		defer l.Lock(1)()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.LockContext(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err is %v, want the deadline's", err)
		}
	})
}
