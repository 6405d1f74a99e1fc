package smtp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"campaignd/internal/send"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testServer is a mail server (emersion/go-smtp) that counts and keeps its messages.
type testServer struct {
	*server.Server
	port        int
	connections atomic.Int64
	count       atomic.Int64
	keep        bool // keep the messages

	// The errors that it answers with; nil: none.
	atMail func(from string, o *server.MailOptions) error
	atRcpt func(to string) error
	atData func() error

	mu    sync.Mutex // guards the fields below
	mails []received
}

type received struct {
	from, to string
	options  server.MailOptions
	data     string
}

// newTestServer starts a server; adjust changes it before it listens.
func newTestServer(t testing.TB, adjust func(*testServer)) *testServer {
	t.Helper()
	b := &testServer{keep: true}
	b.Server = server.NewServer(server.BackendFunc(func(*server.Conn) (server.Session, error) {
		b.connections.Add(1)
		return &session{box: b}, nil
	}))
	b.Domain, b.ErrorLog = "mail.example", log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	if adjust != nil {
		adjust(b)
	}
	done := make(chan error, 1)
	go func() { done <- b.Serve(l) }()
	t.Cleanup(func() {
		_ = b.Close()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return b
}

func (b *testServer) all() []received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]received(nil), b.mails...)
}

type session struct {
	box  *testServer
	mail received
}

func (s *session) Reset()        { s.mail = received{} }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, o *server.MailOptions) error {
	s.mail.from, s.mail.options = from, *o
	if s.box.atMail != nil {
		return s.box.atMail(from, o)
	}
	return nil
}

func (s *session) Rcpt(to string, _ *server.RcptOptions) error {
	s.mail.to = to
	if s.box.atRcpt != nil {
		return s.box.atRcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.box.atData != nil {
		if err := s.box.atData(); err != nil {
			return err
		}
	}
	s.box.count.Add(1)
	if s.box.keep {
		s.mail.data = string(data)
		s.box.mu.Lock()
		s.box.mails = append(s.box.mails, s.mail)
		s.box.mu.Unlock()
	}
	return nil
}

// AuthMechanisms implements server.AuthSession.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements server.AuthSession. The user is shop, the password "hunter2".
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "shop" || password != "hunter2" {
			return &server.SMTPError{Code: 535, EnhancedCode: server.EnhancedCode{5, 7, 8}, Message: "Username and Password not accepted for shop@example.com"}
		}
		return nil
	}), nil
}

// script is a server that answers each command with the script's text for its first word, and
// the end of the data with the text for "end". A word with a number ("MAIL 2") is for that
// occurrence of the command only. Each connection uses the next play.
type script struct {
	port        int
	connections atomic.Int64
	ended       atomic.Int64 // messages read to the end of the data
	muted       chan string  // the command at which it went silent
}

// Special answers.
const (
	hangUp = "(close)" // closes after the text before it
	mute   = "(mute)"  // no answer until the client closes
)

func newScript(t testing.TB, plays ...map[string]string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{port: l.Addr().(*net.TCPAddr).Port, muted: make(chan string, 100)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			s.connections.Add(1)
			play := plays[min(n, len(plays)-1)]
			wg.Go(func() {
				defer c.Close()
				s.play(c, play)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// usual returns the answers of a server that accepts everything.
func usual() map[string]string {
	return map[string]string{"greeting": "220 mail.example ESMTP", "EHLO": "250-mail.example\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES",
		"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 go on", "end": "250 2.0.0 Ok: queued as 4XyZ", "RSET": "250 Ok", "QUIT": "221 bye" + hangUp}
}

// with returns the usual play with some answers replaced.
func with(pairs ...string) map[string]string {
	play := usual()
	for i := 0; i < len(pairs); i += 2 {
		play[pairs[i]] = pairs[i+1]
	}
	return play
}

func (s *script) play(c net.Conn, play map[string]string) {
	in := bufio.NewReader(c)
	say := func(cue string) bool {
		answer, known := play[cue]
		if !known {
			answer = "500 5.5.1 what?"
		}
		if answer == mute {
			s.muted <- cue
			_, _ = io.Copy(io.Discard, in)
			return false
		}
		text, last := strings.CutSuffix(answer, hangUp)
		if text != "" {
			if _, err := io.WriteString(c, text+"\r\n"); err != nil {
				return false
			}
		}
		return !last
	}
	if !say("greeting") {
		return
	}
	seen := map[string]int{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		word = strings.ToUpper(word)
		seen[word]++
		cue := word
		if again := fmt.Sprint(word, " ", seen[word]); play[again] != "" {
			cue = again
		}
		if !say(cue) {
			return
		}
		if word == "DATA" && strings.HasPrefix(play["DATA"], "354") {
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			ended := s.ended.Add(1)
			cue := "end"
			if again := fmt.Sprint(cue, " ", ended); play[again] != "" {
				cue = again
			}
			if !say(cue) {
				return
			}
		}
	}
}

// options returns the options of a channel to a server on this machine.
func options(port int) Options {
	return Options{Host: "127.0.0.1", Port: port, TLS: NoTLS, From: "Shop Ñ <shop@example.com>", Timeout: 2 * time.Second, Concurrency: 4}
}

func channel(t testing.TB, o Options) *Channel {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

const testContact = "ana.lopez34600111222@mail.example"

func message(t testing.TB, c content) *send.Message {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return &send.Message{Key: "20261124-000007-42-1-9f3c01ab", SendingID: "20261124-000007", ApplicationID: 1, CampaignID: 7, ChannelType: "email",
		ContactCode: testContact, Number: 1, Content: text, Attempt: 1}
}

func hello(t testing.TB) *send.Message {
	return message(t, content{Subject: "Hello", Text: "Hello Ana"})
}

// try makes one attempt at a message.
func try(t testing.TB, c *Channel, m *send.Message) send.Result {
	t.Helper()
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{m}, results)
	switch res := results[0]; {
	case strings.Contains(res.Detail+res.Code, "@"):
		t.Errorf("the result contains the contact or a secret: res.Detail + res.Code = %q, want no \"@\" in it", res.Detail+res.Code)
	case strings.Contains(res.Detail, "34600111222"):
		t.Errorf("the result contains the contact or a secret: res.Detail = %q, want no \"34600111222\" in it", res.Detail)
	case strings.Contains(res.Detail, "hunter2"):
		t.Errorf("the result contains the contact or a secret: res.Detail = %q, want no \"hunter2\" in it", res.Detail)
	}
	if res := results[0]; res.Verdict != send.VerdictSent && res.Detail == "" {
		t.Errorf("the result has no reason: %+v", res)
	}
	return results[0]
}

func newFailure(code int, text string, at step) *failure {
	return &failure{step: at, err: &textproto.Error{Code: code, Msg: text}}
}
