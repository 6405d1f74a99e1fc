package whatsapp

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// An expired token is read again, and the message goes out with the new one in the same attempt: the
// refusal cost it one.
func TestTokenIsReplacedWhileSending(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	var reads atomic.Int64
	c := driver(t, f.url, func(o *Options) {
		o.ReadToken = func() (string, error) { reads.Add(1); return "new-token", nil }
	})
	if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictSent {
		t.Fatalf("with the first token %+v", res)
	}
	f.SetToken("new-token")
	for n := range 2 {
		if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictSent {
			t.Errorf("message %d after the change: got %+v, want verdict %v", n+1, res, send.VerdictSent)
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("the token was read %d times, want once", n)
	}
	if f.Faults() != nil {
		t.Errorf("faults %q", f.Faults())
	}
}

// A newer token that Meta refuses, too, holds the channel.
func TestNewTokenIsRefusedToo(t *testing.T) {
	f := newFake(t, graphfake.Options{Token: "good-token"})
	c := driver(t, f.url, func(o *Options) { o.ReadToken = func() (string, error) { return "other-token", nil } })
	if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictHold || res.Hold != send.HoldChannel {
		t.Errorf("got %+v, want the channel held", res)
	}
	if n := f.Count(); n != 0 {
		t.Errorf("%d messages were accepted, want none", n)
	}
}

// Without a newer token the channel is held, and the file is read before each attempt.
func TestTokenExpired(t *testing.T) {
	f := newFake(t, graphfake.Options{Token: "good-token"})
	current := token
	var broken error
	c := driver(t, f.url, func(o *Options) {
		o.ReadToken = func() (string, error) { return current, broken }
	})
	held := func(part string) {
		t.Helper()
		res := attempt(t, c, welcome, contact, 1)
		switch {
		case res.Verdict != send.VerdictHold:
			t.Errorf("res.Verdict: got %v, want %v", res.Verdict, send.VerdictHold)
		case res.Hold != send.HoldChannel:
			t.Errorf("res.Hold: got %v, want %v", res.Hold, send.HoldChannel)
		case res.Code != "190":
			t.Errorf(`res.Code: got %q, want "190"`, res.Code)
		case !strings.Contains(res.Detail, part):
			t.Errorf("res.Detail: got %q, want %q in it", res.Detail, part)
		case strings.Contains(res.Detail, current):
			t.Errorf("res.Detail: got %q, want no %q in it", res.Detail, current)
		}
	}
	held("put a new one into token_file")
	broken = errors.New("no such file")
	held("it can't be read again: read access token: no such file")
	current, broken = "two lines\nof it", nil
	held("it must be one line")
	current = "good-token"
	if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictSent {
		t.Errorf("with the good token %+v", res)
	}
	// Without ReadToken the channel is held too.
	if res := attempt(t, driver(t, f.url, nil), welcome, contact, 1); res.Verdict != send.VerdictHold {
		t.Errorf("without a way to a new token %+v", res)
	}
}

// All of many concurrent messages go out when the token changes.
func TestTokenIsReplacedForManyMessages(t *testing.T) {
	f := newFake(t, graphfake.Options{Token: "new-token"})
	c := driver(t, f.url, func(o *Options) { o.ReadToken = func() (string, error) { return "new-token", nil } })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictSent {
				t.Errorf("got %+v, want verdict %v", res, send.VerdictSent)
			}
		})
	}
	wg.Wait()
}
