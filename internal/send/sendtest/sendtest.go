// Package sendtest is the test suite that every channel driver passes (Run). For
// HTTP drivers it has servers that answer, stall, reset, lie or throttle.
//
// A driver lists the result that it must give for each case; cases that it doesn't
// list don't apply. The servers listen on loopback. The tests wait for facts with a
// limit and never sleep.
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

// Case names something that can happen to a message.
type Case string

// The cases. Driver.New gets the URL of the server of an HTTP case.
const (
	Success          Case = "success"
	Accepted         Case = "accepted without a body"
	SlowServer       Case = "slow server" // no answer within the driver's timeout
	ResetBefore      Case = "reset before the request was written"
	ResetAfter       Case = "reset after the request was written"
	HalfReply        Case = "half a reply"        // cut within the header
	HalfBody         Case = "half a body"         // status 200, body cut
	Garbage          Case = "garbage"             // not HTTP
	HugeBody         Case = "body without an end" // status 200, megabytes follow
	HugeHeader       Case = "header without an end"
	Throttled        Case = "429"
	ThrottledSeconds Case = "429 with Retry-After in seconds" // 7
	ThrottledDate    Case = "429 with Retry-After as a date"  // an hour from now
	Unavailable      Case = "503 with Retry-After"            // 7
	ServerError      Case = "500"
	Redirect         Case = "redirect" // to a server that must get no request
	Unauthorized     Case = "401"
	Forbidden        Case = "403"
	BadRequest       Case = "400"
	NotFound         Case = "404"
	TooLarge         Case = "413 before the request was read"
	Unprocessable    Case = "422"
	BadCertificate   Case = "certificate that nobody trusts"
	PlainAsTLS       Case = "no TLS behind an https URL"
	Refused          Case = "connection refused"
	Canceled         Case = "canceled before it began"
	CutOff           Case = "cut off while waiting for the answer"
)

// Want is the expected result of a case.
type Want struct {
	Verdict    send.Verdict
	Hold       send.Scope
	Maybe      bool          // MaybeDelivered
	RetryAfter time.Duration // within two seconds, or within a minute if it is longer than a minute
	ProviderID string
	Code       string
}

// Driver is a driver under test.
type Driver struct {
	// New creates the driver. server is the base URL of the case's server; drivers without HTTP ignore it. timeout is
	// for one answer: two seconds where none comes, otherwise long enough for a busy machine.
	New func(t *testing.T, server string, timeout time.Duration) send.Channel
	// Item is a valid messageContent item with the variable {{name}}.
	Item string
	// Contact is a valid contact code.
	Contact string
	// Reply is the receiver's answer to a valid request: a JSON object, or "".
	Reply string
	// Cases has the expected result of each case.
	Cases map[Case]Want
	// Count returns the number of messages that the receiver has got, for drivers without HTTP.
	Count func() int
	// Many is the number of messages in the leak test; 0: 10,000.
	Many int
}

// Run runs the suite. Each case is a subtest with its name.
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

// compile checks that Compile renders valid items and refuses others.
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
			t.Errorf("Compile accepted %q", bad)
		}
	}
	if n := c.Batch(); n < 1 {
		t.Errorf("Batch returned %d, want at least 1", n)
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

// message returns message n for the driver.
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

// check compares a result with the expected one, and checks that it has a detail unless the message was sent.
func check(t *testing.T, got send.Result, want Want) {
	t.Helper()
	if got.Verdict != want.Verdict || got.Hold != want.Hold {
		t.Errorf("result %+v, want verdict %d, hold %d", got, want.Verdict, want.Hold)
	}
	if got.MaybeDelivered != want.Maybe {
		t.Errorf("may have been delivered: %v, want %v", got.MaybeDelivered, want.Maybe)
	}
	near := 2 * time.Second
	if want.RetryAfter > time.Minute {
		near = time.Minute // computed from a date, so the time of the test itself is missing
	}
	if diff := got.RetryAfter - want.RetryAfter; diff > near || diff < -near {
		t.Errorf("retry after %v, want %v", got.RetryAfter, want.RetryAfter)
	}
	if want.ProviderID != "" && got.ProviderID != want.ProviderID {
		t.Errorf("provider id %q, want %q", got.ProviderID, want.ProviderID)
	}
	if want.Code != "" && got.Code != want.Code {
		t.Errorf("code %q, want %q", got.Code, want.Code)
	}
	if got.Verdict != send.VerdictSent && got.Detail == "" {
		t.Error("no detail says why it was not sent")
	}
}

// limit is for anything to happen; answerTimeout is the driver's timeout for answers that do come.
const (
	limit         = time.Minute
	answerTimeout = 40 * time.Second
)

// once sends one message and returns its result, or fails the test after limit.
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

// many sends many messages from several goroutines and checks that no goroutine is left.
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
			t.Errorf("the receiver got %d messages, want %d", got, n)
		}
	} else {
		if got := server.requests.Load(); got != int64(n) {
			t.Errorf("the receiver got %d requests, want %d", got, n)
		}
		if got := server.connections.Load(); got > 4*concurrency {
			t.Errorf("%d connections for %d messages from %d goroutines", got, n, concurrency)
		}
	}
	server.Close()
	waitForGoroutines(t, before)
}

// concurrency is the number of goroutines that send at the same time.
const concurrency = 8

// flood sends n messages and checks that all of them are sent.
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

// waitForGoroutines waits until at most before goroutines run.
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

// together makes many concurrent calls, each with its own results.
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

// closing closes an unused and a used driver twice.
func (d Driver) closing(t *testing.T) {
	server := newServer(t, Success, d.Reply)
	c := d.New(t, server.URL(), answerTimeout)
	closed(t, c)
	closed(t, c)
	c = d.New(t, server.URL(), answerTimeout)
	if res := once(t, t.Context(), c, d.message(t, c, 1)); res.Verdict != send.VerdictSent {
		t.Errorf("result %+v, want sent", res)
	}
	closed(t, c)
	closed(t, c)
}
