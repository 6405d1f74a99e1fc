package webhook

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
	"campaignd/internal/send/sendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestConformance(t *testing.T) {
	sent := sendtest.Want{Verdict: send.VerdictSent}
	unreachable := sendtest.Want{Verdict: send.VerdictUnreachable}
	permanent := sendtest.Want{Verdict: send.VerdictPermanent}
	hold := sendtest.Want{Verdict: send.VerdictHold, Hold: send.HoldChannel}
	unknown := sendtest.Want{Verdict: send.VerdictUnknown}
	throttled := func(after time.Duration) sendtest.Want {
		return sendtest.Want{Verdict: send.VerdictThrottled, RetryAfter: after, Code: "429"}
	}
	sendtest.Run(t, sendtest.Driver{
		New: func(t *testing.T, server string, timeout time.Duration) send.Channel {
			c, err := New(Options{URL: server, Secret: secret, Timeout: timeout, Concurrency: 64})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Item: `{"body":"hello {{name}}"}`, Contact: "34600000001", Reply: `{"id":"m-1"}`,
		Cases: map[sendtest.Case]sendtest.Want{
			sendtest.Success:          {Verdict: send.VerdictSent, ProviderID: "m-1"},
			sendtest.Accepted:         sent,
			sendtest.SlowServer:       unknown,
			sendtest.ResetBefore:      unreachable,
			sendtest.ResetAfter:       unknown,
			sendtest.HalfReply:        unknown,
			sendtest.HalfBody:         sent,
			sendtest.Garbage:          unknown,
			sendtest.HugeBody:         sent,
			sendtest.HugeHeader:       unknown,
			sendtest.Throttled:        throttled(0),
			sendtest.ThrottledSeconds: throttled(7 * time.Second),
			sendtest.ThrottledDate:    throttled(time.Hour),
			sendtest.Unavailable:      {Verdict: send.VerdictRetry, RetryAfter: 7 * time.Second, Code: "503"},
			sendtest.ServerError:      {Verdict: send.VerdictRetry, Code: "500"},
			sendtest.Redirect:         hold,
			sendtest.Unauthorized:     {Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "401"},
			sendtest.Forbidden:        hold,
			sendtest.BadRequest:       {Verdict: send.VerdictPermanent, Code: "400"},
			sendtest.NotFound:         {Verdict: send.VerdictNoEndpoint, Code: "404"},
			sendtest.TooLarge:         {Verdict: send.VerdictPermanent, Code: "413"},
			sendtest.Unprocessable:    permanent,
			sendtest.BadCertificate:   hold,
			sendtest.PlainAsTLS:       hold,
			sendtest.Refused:          unreachable,
			sendtest.Canceled:         unreachable,
			sendtest.CutOff:           unknown,
		},
	})
}

func message() *send.Message {
	return &send.Message{Key: "20261124-000007-42-1-9f3c01ab", SendingID: "20261124-000007", Reference: "spring", ApplicationID: 1, CampaignID: 7,
		ChannelType: "hook", ContactCode: "34600000001", Number: 1, Content: json.RawMessage(`{"body":"hi"}`),
		DueAt: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Attempt: 2}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Message-Id", "h-1")
	}))
	defer srv.Close()
	c, err := New(Options{URL: srv.URL + "/hook?token=s", Secret: secret, Timeout: 10 * time.Second, Headers: map[string]string{"Authorization": "Bearer x", "Host": "hooks.example"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := message()
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{m}, results)
	if results[0].Verdict != send.VerdictSent || results[0].ProviderID != "h-1" {
		t.Fatalf("result %+v; want sent as h-1", results[0])
	}
	want, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	switch {
	case got.Method != "POST":
		t.Errorf(`got.Method: got %q, want "POST"`, got.Method)
	case got.URL.String() != "/hook?token=s":
		t.Errorf(`got.URL.String(): got %q, want "/hook?token=s"`, got.URL.String())
	case got.Host != "hooks.example":
		t.Errorf(`got.Host: got %q, want "hooks.example"`, got.Host)
	case got.Header.Get("Idempotency-Key") != m.Key:
		t.Errorf(`got.Header.Get("Idempotency-Key"): got %v, want %v`, got.Header.Get("Idempotency-Key"), m.Key)
	case got.Header.Get("Content-Type") != "application/json":
		t.Errorf(`got.Header.Get("Content-Type"): got %q, want "application/json"`, got.Header.Get("Content-Type"))
	case got.Header.Get("Authorization") != "Bearer x":
		t.Errorf(`got.Header.Get("Authorization"): got %q, want "Bearer x"`, got.Header.Get("Authorization"))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(body, got.Header); err != nil {
		t.Errorf("signature: %v", err)
	}
	if got.Header.Get(standardwebhooks.HeaderWebhookID) != m.Key {
		t.Errorf("webhook-id %q; want the key", got.Header.Get(standardwebhooks.HeaderWebhookID))
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Options{URL: "http://example.com", Secret: "hunter2!"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the secret", err)
	}
	if _, err := New(Options{URL: "https://example.com", Secret: base64.StdEncoding.EncodeToString([]byte("key"))}); err != nil {
		t.Errorf("got %v for a secret without its prefix; want no error", err)
	}
}

// The server closes a connection while the next request is on its way. net/http's transport
// would repeat that request on its own: it has an Idempotency-Key.
func TestTransportRepeatsARequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	requests := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(requests)
				return
			}
			in := bufio.NewReader(conn)
			for n := range 2 {
				req, err := http.ReadRequest(in)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, req.Body)
				requests <- req.Header.Get("Idempotency-Key")
				if n == 0 {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}
			_ = conn.Close()
		}
	}()
	c, err := New(Options{URL: "http://" + l.Addr().String(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var verdicts []send.Verdict
	for range 2 {
		results := make([]send.Result, 1)
		c.Send(t.Context(), []*send.Message{message()}, results)
		verdicts = append(verdicts, results[0].Verdict)
	}
	if diff := cmp.Diff([]send.Verdict{send.VerdictSent, send.VerdictUnknown}, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	_ = l.Close()
	n := 0
	for range requests {
		n++
	}
	if n != 2 {
		t.Errorf("%d requests for 2 attempts", n)
	}
}

// A connection that ends while the request is written leaves the receiver without the message.
func TestRequestThatIsCutOffIsUnwritten(t *testing.T) {
	c, err := New(Options{URL: "http://" + sendtest.Resets(t).String(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := message()
	m.Content = json.RawMessage(`{"body":"` + strings.Repeat("x", 16<<20) + `"}`)
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{m}, results)
	switch res := results[0]; {
	case res.Verdict != send.VerdictRetry:
		t.Errorf("verdict of %+v: got %d, want %d", res, res.Verdict, send.VerdictRetry)
	case !res.Unwritten:
		t.Errorf("unwritten of %+v: got false, want true", res)
	}
}

func TestProviderID(t *testing.T) {
	long := strings.Repeat("x", longestID+1)
	for body, want := range map[string]string{`{"id":"a"}`: "a", `{"id":12345678901234567890}`: "12345678901234567890", `{"id":null}`: "h", `{"id":{}}`: "h",
		`["id"]`: "h", `{"id":"` + long + `"}`: "", `{"id":"a\nb"}`: "", ``: "h", `{`: "h"} {
		if got := providerID(http.Header{"X-Message-Id": {"h"}}, []byte(body)); got != want {
			t.Errorf("providerID(%.40s) = %q; want %q", body, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add(`{"id":"a"}`, "120", "b")
	f.Add(`{"id":1e400}`, "Tue, 24 Nov 2026 10:01:00 GMT", "\xff")
	f.Fuzz(func(t *testing.T, body, after, header string) {
		switch id := providerID(http.Header{"X-Message-Id": {header}}, []byte(body)); {
		case len(id) > longestID:
			t.Errorf("len(id) = %v, want at most %v: %q", len(id), longestID, id)
		case strings.ContainsAny(id, "\r\n\x00"):
			t.Errorf("id = %q, want none of %q in it", id, "\r\n\x00")
		}
		if d := httppost.RetryAfter(http.Header{"Retry-After": {after}}, time.Unix(0, 0)); d < 0 {
			t.Errorf("retry after %v", d)
		}
	})
}
