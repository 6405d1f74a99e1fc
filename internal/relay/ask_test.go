package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A question that was dropped during an election isn't waited for when there is a leader.
func TestAskWaitsForADroppedQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		const election = 3700 * time.Millisecond
		got, err := ask(t.Context(), func(ctx context.Context) (string, error) {
			if time.Since(begun) < election {
				<-ctx.Done() // it was dropped
				return "", ctx.Err()
			}
			return "leader", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got != "leader" {
			t.Errorf("the answer is %q, want leader", got)
		}
		if took := time.Since(begun); took > election+askEvery {
			t.Errorf("it took %s, want at most %s", took, election+askEvery)
		}
	})
}

// A slow server's answer to the first question is taken.
func TestAskGivesASlowServerNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := ask(t.Context(), func(ctx context.Context) (string, error) {
			select {
			case <-time.After(2 * time.Second):
				return "slow", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		if err != nil || got != "slow" {
			t.Errorf("got %q, %v, want slow", got, err)
		}
	})
}

func TestAskWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := ask(t.Context(), func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(begun); took != callTimeout {
			t.Errorf("it took %s, want %s", took, callTimeout)
		}
	})
}
