// Package sendtest is the suite that every channel driver passes: what each must
// do whatever it speaks (Run), and for those that speak HTTP, what it must make of
// a server that answers, stalls, resets, lies or throttles.
//
// A driver states which verdict each case must give; cases it doesn't name don't
// fit it and are left out. The servers listen on the loopback address, and every
// wait is for a fact with a limit, never a fixed sleep.
package sendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// Case names one thing that can happen to a message.
type Case string

// The cases. Where a case is about HTTP its server is given to Driver.New as a URL.
const (
	Success          Case = "success"
	Accepted         Case = "accepted without a body"
	SlowServer       Case = "slow server" // no answer within the driver's timeout
	ResetBefore      Case = "reset before the request was written"
	ResetAfter       Case = "reset after the request was written"
	HalfReply        Case = "half a reply"        // cut within the head
	HalfBody         Case = "half a body"         // status 200, body cut
	Garbage          Case = "garbage"             // no HTTP at all
	HugeBody         Case = "body without an end" // status 200, megabytes follow
	HugeHeader       Case = "header without an end"
	Throttled        Case = "429"
	ThrottledSeconds Case = "429 with Retry-After in seconds" // 7
	ThrottledDate    Case = "429 with Retry-After as a date"  // an hour from now
	Unavailable      Case = "503 with Retry-After"            // 7
	ServerError      Case = "500"
	Redirect         Case = "redirect" // to a server that must not be asked
	Unauthorized     Case = "401"
	Forbidden        Case = "403"
	BadRequest       Case = "400"
	NotFound         Case = "404"
	TooLarge         Case = "413 before the request was read"
	Unprocessable    Case = "422"
	BadCertificate   Case = "certificate that no one trusts"
	PlainAsTLS       Case = "no TLS where https was asked for"
	Refused          Case = "connection refused"
	Canceled         Case = "canceled before it began"
	CutOff           Case = "cut off while waiting for the answer"
)

// Want is the result that a case must give.
type Want struct {
	Verdict    send.Verdict
	Hold       send.Scope
	SlowDown   bool
	Maybe      bool          // MaybeDelivered
	RetryAfter time.Duration // give or take two seconds, or a minute if it is longer than that
	ProviderID string
	Code       string
}

// Driver is a driver under test.
type Driver struct {
	// New makes it. server is the base URL of the case's server, "" for a driver that names no HTTP case. timeout
	// is how long it may wait for one answer: two seconds where none comes, else so long that a busy machine makes it.
	New func(t *testing.T, server string, timeout time.Duration) send.Channel
	// Item is a messageContent item that it can send, with the variable {{name}}.
	Item string
	// Contact is a contact code that it can send to.
	Contact string
	// Reply is what its receiver answers to a good request: a JSON object, "" for none.
	Reply string
	// Cases are what happens, and what it must make of it.
	Cases map[Case]Want
	// Count is how many messages the receiver has got, for drivers without an HTTP server.
	Count func() int
	// Many is how many messages are sent in the leak test; 0: 10,000.
	Many int
}

// Run runs the suite. Each case is a subtest of its name.
func Run(t *testing.T, d Driver) {
	t.Run("compile", d.compile)
	for c, want := range d.Cases {
		t.Run(string(c), func(t *testing.T) { d.one(t, c, want) })
	}
	t.Run("many", d.many)
	t.Run("at the same time", d.together)
	t.Run("close", d.closing)
	if want, ok := d.Cases[Unauthorized]; ok {
		t.Run("token that expires in mid-run", func(t *testing.T) { d.expiry(t, want) })
		t.Run("shutdown with an answer outstanding", d.shutdown)
	}
}

// compile holds Compile to its page: it renders what it takes and refuses what is no item.
func (d Driver) compile(t *testing.T) {
	c := d.New(t, "http://127.0.0.1:1", answerTimeout)
	defer closed(t, c)
	template, err := c.Compile(json.RawMessage(d.Item), []string{"name"})
	if err != nil {
		t.Fatalf("compile %s: %v", d.Item, err)
	}
	hostile := `"},{"x":"{{name}}` + "\r\n\x00"
	content := render(template, hostile)
	var back map[string]any
	if err := json.Unmarshal(content, &back); err != nil {
		t.Errorf("a cell broke out of its string: %v in %s", err, content)
	}
	for _, bad := range []string{``, `[]`, `"text"`, `{`, `{"body":"{{nobody}}"}`, `{"body":"{{"}`} {
		if _, err := c.Compile(json.RawMessage(bad), []string{"name"}); err == nil {
			t.Errorf("compile took %q", bad)
		}
	}
	if n := c.Batch(); n < 1 {
		t.Errorf("batch of %d", n)
	}
}

func render(template *campaign.Template, name string) []byte {
	var rows campaign.Rows
	rows.Reset(0, 1)
	rows.Lines = append(rows.Lines, 2)
	rows.Channels = append(rows.Channels, 0)
	rows.Values[0].AppendString(name)
	return template.Append(nil, &rows, 0)
}

// Message makes message n for the driver.
func (d Driver) message(t *testing.T, c send.Channel, n int) *send.Message {
	t.Helper()
	template, err := c.Compile(json.RawMessage(d.Item), []string{"name"})
	if err != nil {
		t.Fatalf("compile %s: %v", d.Item, err)
	}
	return &send.Message{
		Key: campaign.Key("20260102-000001", "0123abcd", uint32(n+2), 1), SendingID: "20260102-000001", Reference: "reference",
		ApplicationID: 1, CampaignID: 7, ChannelType: "c", ContactCode: d.Contact, Number: 1,
		Content: render(template, fmt.Sprintf("name %d", n)), DueAt: time.Now().UTC(), Attempt: 1,
	}
}

// check holds a result against what is wanted, and to what every result owes.
func check(t *testing.T, got send.Result, want Want) {
	t.Helper()
	if got.Verdict != want.Verdict || got.Hold != want.Hold || got.SlowDown != want.SlowDown {
		t.Errorf("result %+v; want verdict %d, hold %d, slow down %v", got, want.Verdict, want.Hold, want.SlowDown)
	}
	if got.MaybeDelivered != want.Maybe {
		t.Errorf("may have been delivered: %v; want %v", got.MaybeDelivered, want.Maybe)
	}
	near := 2 * time.Second
	if want.RetryAfter > time.Minute {
		near = time.Minute // reckoned from a date: what the test itself took is missing
	}
	if diff := got.RetryAfter - want.RetryAfter; diff > near || diff < -near {
		t.Errorf("retry after %v; want %v", got.RetryAfter, want.RetryAfter)
	}
	if want.ProviderID != "" && got.ProviderID != want.ProviderID {
		t.Errorf("provider id %q; want %q", got.ProviderID, want.ProviderID)
	}
	if want.Code != "" && got.Code != want.Code {
		t.Errorf("code %q; want %q", got.Code, want.Code)
	}
	if got.Verdict != send.VerdictSent && got.Detail == "" {
		t.Error("no word on why it was not sent")
	}
}

// limit is how long anything may take, and patience what a driver is given for an answer that comes.
const (
	limit         = time.Minute
	answerTimeout = 40 * time.Second
)

// once sends one message with a limit and returns its result.
func once(t *testing.T, ctx context.Context, c send.Channel, m *send.Message) send.Result {
	t.Helper()
	results := make([]send.Result, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Send(ctx, []*send.Message{m}, results)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("no result within %v", limit)
	}
	return results[0]
}

func closed(t *testing.T, c send.Channel) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// many sends a great number of messages from several goroutines and looks at what stays behind.
func (d Driver) many(t *testing.T) {
	n := d.Many
	if n == 0 {
		n = 10_000
	}
	if testing.Short() {
		n /= 10
	}
	server := newServer(t, Success, d.Reply)
	before := runtime.NumGoroutine()
	c := d.New(t, server.URL(), answerTimeout)
	d.flood(t, c, n)
	closed(t, c)
	if d.Count != nil {
		if got := d.Count(); got < n {
			t.Errorf("the receiver got %d messages; want %d", got, n)
		}
	} else {
		if got := server.requests.Load(); got != int64(n) {
			t.Errorf("the receiver got %d requests; want %d", got, n)
		}
		if got := server.connections.Load(); got > 4*concurrency {
			t.Errorf("%d connections for %d messages from %d hands", got, n, concurrency)
		}
	}
	server.Close()
	waitForGoroutines(t, before)
}

// hands is how many goroutines send at the same time.
const concurrency = 8

// flood sends n messages, all of which must be sent.
func (d Driver) flood(t *testing.T, c send.Channel, n int) {
	t.Helper()
	size := min(c.Batch(), 256)
	template := d.message(t, c, 0)
	var wg sync.WaitGroup
	next := make(chan int)
	for range concurrency {
		wg.Go(func() {
			msgs := make([]send.Message, size)
			ptrs := make([]*send.Message, size)
			results := make([]send.Result, size)
			for first := range next {
				k := min(size, n-first)
				for i := range k {
					msgs[i] = *template
					msgs[i].Key = campaign.Key("20260102-000001", "0123abcd", uint32(first+i+2), 1)
					ptrs[i], results[i] = &msgs[i], send.Result{}
				}
				c.Send(t.Context(), ptrs[:k], results[:k])
				for i := range k {
					if results[i].Verdict != send.VerdictSent {
						t.Errorf("message %d: %+v", first+i, results[i])
						return
					}
				}
			}
		})
	}
	for first := 0; first < n; first += size {
		next <- first
	}
	close(next)
	wg.Wait()
}

// settle waits until no more goroutines run than before.
func waitForGoroutines(t *testing.T, before int) {
	t.Helper()
	end := time.Now().Add(limit)
	for runtime.NumGoroutine() > before {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// together has many calls at once share the driver, each with its own results.
func (d Driver) together(t *testing.T) {
	server := newServer(t, Success, d.Reply)
	c := d.New(t, server.URL(), answerTimeout)
	defer closed(t, c)
	var wg sync.WaitGroup
	for n := range 4 * concurrency {
		m := d.message(t, c, n)
		wg.Go(func() {
			if res := once(t, t.Context(), c, m); res.Verdict != send.VerdictSent {
				t.Errorf("message %d: %+v", n, res)
			}
			if m.SentAt.IsZero() {
				t.Errorf("message %d: SentAt is not set", n)
			}
		})
	}
	wg.Wait()
}

// closing closes twice, used and unused.
func (d Driver) closing(t *testing.T) {
	server := newServer(t, Success, d.Reply)
	c := d.New(t, server.URL(), answerTimeout)
	closed(t, c)
	closed(t, c)
	c = d.New(t, server.URL(), answerTimeout)
	if res := once(t, t.Context(), c, d.message(t, c, 1)); res.Verdict != send.VerdictSent {
		t.Errorf("result %+v; want sent", res)
	}
	closed(t, c)
	closed(t, c)
}
