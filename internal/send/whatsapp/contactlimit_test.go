package whatsapp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// 45 messages may be sent at once, then one in 6 s, each with its own instant.
func TestContactGetsMoreThanABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, to := newContactLimiter(), []byte("34666000111")
		for i := range contactBurst {
			if wait := p.allow(to, time.Now(), true); wait != 0 {
				t.Fatalf("message %d waits %v", i+1, wait)
			}
		}
		for i := range 3 {
			if wait, want := p.allow(to, time.Now(), true), time.Duration(i+1)*contactInterval; wait != want {
				t.Errorf("message %d beyond the burst waits %v, want %v", i+1, wait, want)
			}
		}
		if wait := p.allow([]byte("34666000112"), time.Now(), true); wait != 0 {
			t.Errorf("another contact waits %v", wait)
		}
		time.Sleep(contactInterval)
		if wait, want := p.allow(to, time.Now(), true), 3*contactInterval; wait != want {
			t.Errorf("a newcomer waits %v behind the others, want %v", wait, want)
		}
		if wait := p.allow(to, time.Now(), false); wait != 0 {
			t.Errorf("the first that had to wait waits %v more", wait)
		}
		time.Sleep(time.Hour)
		if wait := p.allow(to, time.Now(), true); wait != 0 {
			t.Errorf("an hour later a message waits %v", wait)
		}
	})
}

// After 131056 every message to that contact waits, and no other.
func TestBlockedContactGetsMessages(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	f.Answers(func(m graphfake.Message) graphfake.Answer {
		if m.To == "34666000111" {
			return graphfake.Answer{Code: 131056}
		}
		return graphfake.Answer{}
	})
	c := driver(t, f.url, nil)
	for i, want := range []time.Duration{16 * time.Second, 22 * time.Second} {
		res := attempt(t, c, welcome, contact, 2-i)
		if res.Verdict != send.VerdictRecipientBusy || res.RetryAfter > want || res.RetryAfter < want-7*time.Second {
			t.Errorf("message %d: %+v, want about %v", i+1, res, want)
		}
	}
	if res := attempt(t, c, welcome, "34666000112", 1); res.Verdict != send.VerdictSent {
		t.Errorf("another contact %+v", res)
	}
	if got := f.Count(); got != 2 {
		t.Errorf("the server got %d messages, want 2: one was held back here", got)
	}
}

// The limiter's memory is bounded.
func TestLimiterMemoryGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newContactLimiter()
		for i := range 4 * maxContacts {
			if wait := p.allow(fmt.Appendf(nil, "%d", 10_000_000+i), time.Now(), true); wait != 0 {
				t.Fatalf("contact %d waits %v", i, wait)
			}
			if i%10_000 == 0 {
				time.Sleep(time.Second)
			}
			if len(p.contacts) > maxContacts {
				t.Fatalf("%d contacts are remembered", len(p.contacts))
			}
		}
		time.Sleep(time.Minute)
		p.sweepAt = 0
		p.allow([]byte("1"), time.Now(), true)
		if len(p.contacts) != 1 {
			t.Errorf("%d contacts are remembered when all are free, want 1", len(p.contacts))
		}
	})
}

// No contact gets more than 45 messages and one in 6 s, whenever they arrive.
func TestContactLimitIsExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now := newContactLimiter(), time.Unix(1_800_000_000, 0)
		var sent []time.Time
		for range rapid.IntRange(1, 300).Draw(t, "messages") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "gap")))
			if p.allow([]byte("1"), now, rapid.Bool().Draw(t, "first")) == 0 {
				sent = append(sent, now)
			}
		}
		for i := range sent {
			for k := i; k < len(sent); k++ {
				if most := contactBurst + int(sent[k].Sub(sent[i])/contactInterval); k-i+1 > most {
					t.Fatalf("%d messages in %v, at most %d", k-i+1, sent[k].Sub(sent[i]), most)
				}
			}
		}
	})
}

// A template that Meta refused for a contact (131049) isn't sent to that contact for a day. Others
// are.
func TestRefusedTemplateIsSentAgainWithinADay(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	f.Answers(func(graphfake.Message) graphfake.Answer { return graphfake.Answer{Code: 131049} })
	c := driver(t, f.url, nil)
	other := strings.Replace(welcome, "welcome", "other", 1)
	for i, item := range []string{welcome, welcome, other} {
		res := attempt(t, c, item, contact, 1)
		if res.Verdict != send.VerdictBadRecipient {
			t.Errorf("message %d: res.Verdict = %v, want %v", i, res.Verdict, send.VerdictBadRecipient)
		}
		if res.Code != "131049" {
			t.Errorf("message %d: res.Code = %q, want \"131049\"\n%+v", i, res.Code, res)
		}
	}
	if got := f.Count(); got != 2 {
		t.Errorf("the server was asked %d times, want 2", got)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRefusals(nil)
		to, template := []byte("1"), []byte("a")
		if err := r.add(to, template, time.Now()); err != nil {
			t.Error(err)
		}
		time.Sleep(refusedFor - time.Second)
		if !r.active(to, template, time.Now()) {
			t.Error("forgotten before the day is over")
		}
		time.Sleep(2 * time.Second)
		if r.active(to, template, time.Now()) {
			t.Error("remembered after a day")
		}
		for i := range maxContacts + 10 {
			r.remember(fmt.Appendf(nil, "%d", i), template, time.Now())
		}
		if len(r.until) > maxContacts {
			t.Errorf("%d are remembered", len(r.until))
		}
	})
}

// quota allows a number of different contacts.
type quota struct {
	mu   sync.Mutex
	most int
	next time.Time
	err  error
	seen map[string]int
}

func (q *quota) Allow(contact []byte, at time.Time) (bool, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false, time.Time{}, q.err
	}
	if q.seen[string(contact)] == 0 && len(q.seen) == q.most {
		return false, q.next, nil
	}
	q.seen[string(contact)]++
	return true, time.Time{}, nil
}

func (q *quota) Counts([]byte, time.Time) (bool, error) { return false, nil }

// Beyond the portfolio's limit the channel is held until the next contact is allowed.
func TestQuotaIsExceeded(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	q := &quota{most: 1, next: time.Now().Add(time.Hour), seen: map[string]int{}}
	c := driver(t, f.url, func(o *Options) { o.Quota = q })
	for _, to := range []string{contact, "34666000111"} {
		if res := attempt(t, c, welcome, to, 1); res.Verdict != send.VerdictSent {
			t.Errorf("%+v", res)
		}
	}
	res := attempt(t, c, welcome, "34666000112", 1)
	switch {
	case res.Verdict != send.VerdictHold:
		t.Errorf("res.Verdict: got %v, want %v", res.Verdict, send.VerdictHold)
	case res.Hold != send.HoldChannel:
		t.Errorf("res.Hold: got %v, want %v", res.Hold, send.HoldChannel)
	case res.RetryAfter < 59*time.Minute:
		t.Errorf("res.RetryAfter: got %v, want at least %v", res.RetryAfter, 59*time.Minute)
	case res.RetryAfter > time.Hour:
		t.Errorf("res.RetryAfter: got %v, want at most %v", res.RetryAfter, time.Hour)
	case res.Detail != "daily_contacts is reached: the next contact has to wait until an earlier one is 24 hours old":
		t.Errorf("res.Detail: got %q, want the limit and no time: what shows it shows until when", res.Detail)
	}
	if res := attempt(t, c, `{"body":"x"}`, "34666000112", 1); res.Verdict != send.VerdictSent {
		t.Errorf("free text, which Meta doesn't count, gives %+v", res)
	}
	q.err = errors.New("read contacts: disk")
	switch res := attempt(t, c, welcome, contact, 1); {
	case res.Verdict != send.VerdictHold:
		t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictHold)
	case !strings.Contains(res.Detail, "disk"):
		t.Errorf("res.Detail = %q, want \"disk\" in it", res.Detail)
	}
	switch got := q.seen["34666000111"]; {
	case got != 2:
		t.Errorf("got %v, want 2", got)
	case f.Count() != 3:
		t.Errorf("f.Count() = %v, want 3", f.Count())
	}
}
