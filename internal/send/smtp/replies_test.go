package smtp

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
)

// TestReplies has the verdict on each answer at each step.
func TestReplies(t *testing.T) {
	const (
		sent      = send.VerdictSent
		retry     = send.VerdictRetry
		permanent = send.VerdictPermanent
		hold      = send.VerdictHold
		unknown   = send.VerdictUnknown
	)
	about := " <" + contact + ">: nothing to be said of " + contact
	for _, c := range []struct {
		name string
		play map[string]string
		want send.Verdict
		code string
		slow bool
		says string // in the detail
	}{
		{"success", usual(), sent, "", false, ""},
		{"another 2yz at the end", with("end", "251 fine"), sent, "", false, ""},

		{"greeting 421", with("greeting", "421 4.3.2 later"+hangUp), retry, "421 4.3.2", false, "connection"},
		{"greeting 421 throttles", with("greeting", "421 4.7.0 too many connections"+hangUp), retry, "421 4.7.0", true, ""},
		{"greeting 4yz", with("greeting", "450 no"), retry, "450", false, ""},
		{"greeting 5yz", with("greeting", "554 5.7.1 go away 192.0.2.111222"), hold, "554 5.7.1", false, `by its policy (it says "go away …")`},
		{"greeting of another protocol", with("greeting", "* OK IMAP"), retry, "", false, "not SMTP"},
		{"greeting without an end", with("greeting", "220-mail"+hangUp), retry, "", false, "closed"},
		{"greeting that never stops", with("greeting", "220-"+strings.Repeat("x", 2*replyLimit)), retry, "", false, "is endless"},
		{"greeting mute", with("greeting", mute), retry, "", false, "nothing within"},
		{"closed at once", with("greeting", hangUp), retry, "", false, "closed"},

		{"EHLO refused, HELO not", with("EHLO", "502 no", "HELO", "250 mail.example"), sent, "", false, ""},
		{"EHLO refused", with("EHLO", "550 5.7.1 no", "HELO", "550 no"), hold, "550 5.7.1", false, ""},
		{"EHLO closed", with("EHLO", hangUp), retry, "", false, ""},

		{"MAIL 4yz", with("MAIL", "452 4.3.1 disk full"), retry, "452 4.3.1", false, "disk is full"},
		{"MAIL 421", with("MAIL", "421 4.3.2 bye"+hangUp), retry, "421 4.3.2", false, ""},
		{"MAIL 5yz", with("MAIL", "553 5.7.1 <shop@example.com> not owned by user shop"), hold, "553 5.7.1", false, `check from, and that username`},
		{"MAIL wants a login", with("MAIL", "530 5.7.0 Authentication required"), hold, "530 5.7.0", false, "set username"},
		{"MAIL garbage", with("MAIL", "banana"), retry, "", false, "not SMTP"},
		{"MAIL meaningless", with("MAIL", "354 go on"), retry, "354", false, "not a valid reply"},
		{"MAIL closed", with("MAIL", hangUp), retry, "", false, "closed"},
		{"MAIL mute", with("MAIL", mute), retry, "", false, "nothing within"},

		{"MAIL of a line without end", with("MAIL", "250 "+strings.Repeat("x", 2*replyLimit)), retry, "", false, "is endless"},

		{"RCPT 4yz", with("RCPT", "450 4.2.0"+about), retry, "450 4.2.0", false, "recipient"},
		{"RCPT greylisted", with("RCPT", "451 4.7.1 Greylisted"), retry, "451 4.7.1", false, ""},
		{"RCPT too fast", with("RCPT", "450-4.7.28 slow\r\n450 4.7.28 down"), retry, "450 4.7.28", true, "too many"},
		{"RCPT 421", with("RCPT", "421 4.7.0 too many"+hangUp), retry, "421 4.7.0", true, ""},
		{"RCPT 5yz", with("RCPT", "550 5.1.1"+about), permanent, "550 5.1.1", false, "the recipient: no such mailbox"},
		{"RCPT 5yz without more", with("RCPT", "550"), permanent, "550", false, ""},
		{"RCPT 5yz with another class", with("RCPT", "550 4.1.1 x"), permanent, "550", false, ""},
		{"RCPT 5yz that is no code", with("RCPT", "550 5.1.1.1 x"), permanent, "550", false, ""},
		{"RCPT null MX", with("RCPT", "556 5.1.10 no mail"), permanent, "556 5.1.10", false, "takes no mail"},
		{"RCPT wants a login", with("RCPT", "530 5.7.0 first"), hold, "530 5.7.0", false, ""},
		{"RCPT no relay", with("RCPT", "554 5.7.1"+about+": Relay access denied"), hold, "554 5.7.1", false, "relay for this host"},
		{"RCPT garbage", with("RCPT", "\x00\x01\xff"), retry, "", false, ""},
		{"RCPT closed", with("RCPT", hangUp), retry, "", false, ""},
		{"RCPT mute", with("RCPT", mute), retry, "", false, ""},

		{"DATA 4yz", with("DATA", "451 4.3.0 no"), retry, "451 4.3.0", false, ""},
		{"DATA 5yz", with("DATA", "554 5.5.1 no"), permanent, "554 5.5.1", false, ""},
		{"DATA 250", with("DATA", "250 what"), retry, "250", false, ""},
		{"DATA closed", with("DATA", hangUp), retry, "", false, ""},
		{"DATA mute", with("DATA", mute), retry, "", false, ""},

		{"end 4yz", with("end", "451 4.3.0"+about), retry, "451 4.3.0", false, "the message"},
		{"end 421", with("end", "421 4.3.2 bye"+hangUp), retry, "421 4.3.2", false, ""},
		{"end 5yz", with("end", "554 5.7.1"+about), permanent, "554 5.7.1", false, "by its policy"},
		{"end too long", with("end", "552 5.3.4 big"), permanent, "552 5.3.4", false, "too long"},
		{"end not our sender", with("end", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"), hold, "550 5.7.60", false, "check from"},
		{"end closed", with("end", hangUp), unknown, "", false, "no answer came: the connection was closed"},
		{"end without a text", with("end", "250"), sent, "", false, ""},
		{"end half a reply", with("end", "25"+hangUp), unknown, "", false, ""},
		{"end of lines without end", with("end", strings.Repeat("250-x\r\n", replyLimit/4)), unknown, "", false, "is endless"},
		{"end mute", with("end", mute), unknown, "", false, "nothing within"},
		{"end garbage", with("end", "250banana"), unknown, "", false, ""},
		{"end meaningless", with("end", "354 go on"), unknown, "354", false, ""},
		{"end another code", with("end", "777 luck"), unknown, "777", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, c.play)
			o := options(s.port)
			o.Timeout = 10 * time.Second
			if strings.Contains(c.name, "mute") {
				o.Timeout = 2 * time.Second // the dialogue before must fit in it on a busy machine
			}
			got := try(t, channel(t, o), hello(t))
			if got.Verdict != c.want || got.Code != c.code || got.SlowDown != c.slow || !strings.Contains(got.Detail, c.says) {
				t.Errorf("%+v; want verdict %d, code %q, slow down %v, saying %q", got, c.want, c.code, c.slow, c.says)
			}
			if (got.Hold == send.HoldChannel) != (c.want == hold) || (got.ProviderID != "") != (c.want == sent) {
				t.Errorf("%+v", got)
			}
			if ended := s.ended.Load() > 0; (got.Verdict == unknown || got.Verdict == sent) && !ended {
				t.Error("that it was handed over is not true")
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	if got := try(t, channel(t, options(port)), hello(t)); got.Verdict != send.VerdictRetry || !strings.Contains(got.Detail, "refused") {
		t.Errorf("%+v", got)
	}
	o := options(port)
	o.Host = "no-such-host.invalid"
	if got := try(t, channel(t, o), hello(t)); got.Verdict != send.VerdictRetry {
		t.Errorf("%+v", got)
	}
}

// A server that relays for nobody holds the channel. One contact whose domain is refused
// doesn't hold it for ever.
func TestRelayIsDenied(t *testing.T) {
	s := newScript(t, with("RCPT", "554 5.7.1 Relay access denied"))
	c := channel(t, options(s.port))
	verdicts := ""
	for _, key := range []string{"1", "1", "2", "2", "3"} {
		m := hello(t)
		m.Key = key
		verdicts += fmt.Sprint(try(t, c, m).Verdict == send.VerdictHold, " ")
	}
	if verdicts != "true false true false true " {
		t.Errorf("held: %s", verdicts)
	}
	c.relays.recipientAccepted()
	if got := try(t, c, hello(t)); got.Verdict != send.VerdictPermanent {
		t.Errorf("a server that relays for others: %+v", got)
	}
}

// An attempt that ctx interrupts is unknown only if the end of the data was written.
func TestContextEndsDuringTheDialogue(t *testing.T) {
	for _, cue := range []string{"greeting", "MAIL", "RCPT", "DATA", "end"} {
		t.Run(cue, func(t *testing.T) {
			s := newScript(t, with(cue, mute))
			o := options(s.port)
			o.Timeout = time.Minute
			c := channel(t, o)
			ctx, cancel := context.WithCancel(t.Context())
			results := make([]send.Result, 1)
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.Send(ctx, []*send.Message{hello(t)}, results)
			}()
			want := send.VerdictRetry
			if <-s.muted == "end" {
				want = send.VerdictUnknown
			}
			cancel()
			<-done
			if results[0].Verdict != want || !strings.Contains(results[0].Detail, "the daemon stopped") {
				t.Errorf("%+v; want %d", results[0], want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newScript(t, usual())
	results := make([]send.Result, 1)
	channel(t, options(s.port)).Send(ctx, []*send.Message{hello(t)}, results)
	if results[0].Verdict != send.VerdictRetry || s.connections.Load() != 0 {
		t.Errorf("canceled before: %+v, %d connections", results[0], s.connections.Load())
	}
}
