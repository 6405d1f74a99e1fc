package whatsapp

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// refusalStore keeps refusals as the store would.
type refusalStore struct {
	mu      sync.Mutex
	refused map[string]time.Time
	err     error
}

func (d *refusalStore) of(template string) config.ContactCounter { return refusalCounter{d, template} }

// refusalCounter counts the contacts that are refused a template.
type refusalCounter struct {
	*refusalStore
	template string
}

func (c refusalCounter) Allow(contact []byte, at time.Time) (bool, time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.refused[string(contact)+" "+c.template] = at
	}
	return true, time.Time{}, c.err
}

func (c refusalCounter) Counts(contact []byte, at time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, there := c.refused[string(contact)+" "+c.template]
	return there && at.Sub(since) < refusedFor, c.err
}

// A template that Meta refused today (131049) isn't sent by a new driver either, however the number
// is written. A store that can't be read or written stops nothing.
func TestRefusedTemplateIsSentAfterARestart(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	f.Answers(func(graphfake.Message) graphfake.Answer { return graphfake.Answer{Code: 131049} })
	d := &refusalStore{refused: map[string]time.Time{}}
	kept := func(o *Options) { o.Refused = d.of }
	refused := func(to string, asked int) send.Result {
		t.Helper()
		res := attempt(t, driver(t, f.url, kept), welcome, to, 1)
		if res.Verdict != send.VerdictBadRecipient || res.Code != "131049" || f.Count() != asked {
			t.Errorf("%+v; the server was asked %d times, want %d", res, f.Count(), asked)
		}
		return res
	}
	refused(contact, 1)
	refused("34666000111", 1)
	refused("34666000112", 2)
	d.refused["34666000111 welcome"] = time.Now().Add(-refusedFor)
	refused(contact, 3)
	d.err = errors.New("disk full")
	if res := refused(contact, 4); !strings.Contains(res.Detail, "forgotten at the next restart: disk full") {
		t.Errorf("%+v", res)
	}
}

// Where workers send, the daemon's driver only knows their answers.
func TestRefusalThatAWorkerGotIsRemembered(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	d := &refusalStore{refused: map[string]time.Time{}}
	c := driver(t, f.url, func(o *Options) { o.Refused = d.of })
	m := newMessage(t, c, welcome, contact, 1)
	if res, may := c.Admit(m); !may {
		t.Fatalf("not admitted: %+v", res)
	}
	c.Answered(m, &send.Result{Verdict: send.VerdictBadRecipient, Code: "131049"})
	if res, may := c.Admit(m); may || res.Code != "131049" {
		t.Errorf("admitted: %v, %+v; want refused with 131049", may, res)
	}
	if n := f.Count(); n != 0 {
		t.Errorf("the server was asked %d times, want 0", n)
	}
}
