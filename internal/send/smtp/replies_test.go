package smtp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// TestReplies has the verdict on each answer at each step.
func TestReplies(t *testing.T) {
	const (
		sent        = send.VerdictSent
		retry       = send.VerdictRetry
		unreachable = send.VerdictUnreachable
		throttled   = send.VerdictThrottled
		busy        = send.VerdictRecipientBusy
		deferred    = send.VerdictDeferred
		badContact  = send.VerdictBadRecipient
		permanent   = send.VerdictPermanent
		hold        = send.VerdictHold
		unknown     = send.VerdictUnknown
	)
	about := " <" + testContact + ">: nothing to be said of " + testContact
	for _, c := range []struct {
		name string
		play map[string]string
		want send.Verdict
		code string
		says string // in the detail
	}{
		{"success", usual(), sent, "", ""},
		{"another 2yz at the end", with("end", "251 fine"), sent, "", ""},

		{"greeting 421", with("greeting", "421 4.3.2 later"+hangUp), unreachable, "421 4.3.2", "connection"},
		{"greeting 421 throttles", with("greeting", "421 4.7.0 too many connections"+hangUp), unreachable, "421 4.7.0", ""},
		{"greeting 4yz", with("greeting", "450 no"), unreachable, "450", ""},
		{"greeting 5yz", with("greeting", "554 5.7.1 go away 192.0.2.111222"), hold, "554 5.7.1", `by its policy (it says "go away …")`},
		{"greeting of another protocol", with("greeting", "* OK IMAP"), unreachable, "", "not SMTP"},
		{"greeting without an end", with("greeting", "220-mail"+hangUp), unreachable, "", "closed"},
		{"greeting that never stops", with("greeting", "220-"+strings.Repeat("x", 2*replyLimit)), unreachable, "", "is endless"},
		{"greeting mute", with("greeting", mute), unreachable, "", "nothing within"},
		{"closed at once", with("greeting", hangUp), unreachable, "", "closed"},

		{"EHLO refused, HELO not", with("EHLO", "502 no", "HELO", "250 mail.example"), sent, "", ""},
		{"EHLO refused", with("EHLO", "550 5.7.1 no", "HELO", "550 no"), hold, "550 5.7.1", ""},
		{"EHLO closed", with("EHLO", hangUp), unreachable, "", ""},

		{"MAIL 4yz", with("MAIL", "452 4.3.1 disk full"), throttled, "452 4.3.1", "disk is full"},
		{"MAIL 421", with("MAIL", "421 4.3.2 bye"+hangUp), throttled, "421 4.3.2", ""},
		{"MAIL 5yz", with("MAIL", "553 5.7.1 <shop@example.com> not owned by user shop"), hold, "553 5.7.1", `check from, and that username`},
		{"MAIL wants a login", with("MAIL", "530 5.7.0 Authentication required"), hold, "530 5.7.0", "set username"},
		{"MAIL garbage", with("MAIL", "banana"), retry, "", "not SMTP"},
		{"MAIL meaningless", with("MAIL", "354 go on"), retry, "354", "not a valid reply"},
		{"MAIL closed", with("MAIL", hangUp), retry, "", "closed"},
		{"MAIL mute", with("MAIL", mute), retry, "", "nothing within"},

		{"MAIL of a line without end", with("MAIL", "250 "+strings.Repeat("x", 2*replyLimit)), retry, "", "is endless"},

		{"RCPT 4yz", with("RCPT", "450 4.2.0"+about), busy, "450 4.2.0", "recipient"},
		{"RCPT greylisted", with("RCPT", "451 4.7.1 Greylisted"), busy, "451 4.7.1", ""},
		{"RCPT too fast", with("RCPT", "450-4.7.28 slow\r\n450 4.7.28 down"), throttled, "450 4.7.28", "too many"},
		{"RCPT 421", with("RCPT", "421 4.7.0 too many"+hangUp), throttled, "421 4.7.0", ""},
		{"RCPT 5yz", with("RCPT", "550 5.1.1"+about), badContact, "550 5.1.1", "the recipient: no such mailbox"},
		{"RCPT 5yz without more", with("RCPT", "550"), permanent, "550", ""},
		{"RCPT 5yz with another class", with("RCPT", "550 4.1.1 x"), permanent, "550", ""},
		{"RCPT 5yz that is no code", with("RCPT", "550 5.1.1.1 x"), permanent, "550", ""},
		{"RCPT null MX", with("RCPT", "556 5.1.10 no mail"), badContact, "556 5.1.10", "takes no mail"},
		{"RCPT wants a login", with("RCPT", "530 5.7.0 first"), hold, "530 5.7.0", ""},
		{"RCPT no relay", with("RCPT", "554 5.7.1"+about+": Relay access denied"), hold, "554 5.7.1", "relay for this host"},
		{"RCPT no relay yet", with("RCPT", "454 4.7.1"+about+": Relay access denied"), hold, "454 4.7.1", "relay for this host"},
		{"RCPT bad sender", with("RCPT", "550 5.1.8 <shop@example.com>: Sender address rejected: Domain not found"), hold, "550 5.1.8", "check from"},
		{"RCPT bad sender's syntax", with("RCPT", "553 5.1.7 no"), hold, "553 5.1.7", "the sender's address is not valid"},
		{"RCPT not our sender", with("RCPT", "553 5.7.1 <shop@example.com>: Sender address rejected: not owned by user shop"), hold, "553 5.7.1", "check from"},
		{"RCPT not this host", with("RCPT", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"), hold, "554 5.7.1", "from this host"},
		{"RCPT not this tenant", with("RCPT", "550 5.7.708 Access denied, traffic not accepted from this IP"), hold, "550 5.7.708", "this account"},
		{"MAIL defers the sender", with("MAIL", "450 4.1.8 <shop@example.com>: Sender address rejected: Domain not found"), unreachable, "450 4.1.8", "the sender"},
		{"end may not send as", with("end", "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied"), hold, "554 5.2.0", "check from"},
		{"end bad outbound sender", with("end", "550 5.1.8 Access denied, bad outbound sender"), hold, "550 5.1.8", "check from"},
		{"RCPT garbage", with("RCPT", "\x00\x01\xff"), retry, "", ""},
		{"RCPT closed", with("RCPT", hangUp), retry, "", ""},
		{"RCPT mute", with("RCPT", mute), retry, "", ""},

		{"RCPT 4yz without more", with("RCPT", "450 mailbox busy"), busy, "450", ""},
		{"RCPT undefined", with("RCPT", "450 4.0.0 try later"), busy, "450 4.0.0", ""},
		{"RCPT address", with("RCPT", "450 4.1.8 later"), busy, "450 4.1.8", ""},
		{"RCPT rate without more", with("RCPT", "450 Too many requests"), throttled, "450", ""},
		{"RCPT 421 without more", with("RCPT", "421 bye"+hangUp), unreachable, "421", ""},
		{"RCPT full", with("RCPT", "552 5.2.2"+about), badContact, "552 5.2.2", "the mailbox is full"},
		{"MAIL throttled", with("MAIL", "454 Throttling failure: Maximum sending rate exceeded."), throttled, "454", ""},
		{"MAIL temporary", with("MAIL", "451 temporarily unavailable"), unreachable, "451", ""},
		{"MAIL daily limit", with("MAIL", "550 5.4.5 Daily sending quota exceeded"), hold, "550 5.4.5", "a sending limit is reached"},
		{"end greylisted", with("end", "451 4.7.0 Greylisting in action"), busy, "451 4.7.0", ""},
		{"end daily limit", with("end", "550 5.4.5 Daily limit"), hold, "550 5.4.5", "limit raised"},
		{"end media", with("end", "451 4.6.0 later"), deferred, "451 4.6.0", ""},
		{"end 4yz without more", with("end", "451 Requested action aborted: error in processing"), deferred, "451", "deferred the message"},
		{"end full", with("end", "452 4.2.2 over quota"), busy, "452 4.2.2", ""},
		{"DATA 4yz without more", with("DATA", "450 later"), deferred, "450", ""},
		{"end quota", with("end", "452 over quota for today"), throttled, "452", ""},

		{"DATA 4yz", with("DATA", "451 4.3.0 no"), throttled, "451 4.3.0", ""},
		{"DATA 5yz", with("DATA", "554 5.5.1 no"), permanent, "554 5.5.1", ""},
		{"DATA 250", with("DATA", "250 what"), retry, "250", ""},
		{"DATA closed", with("DATA", hangUp), retry, "", ""},
		{"DATA mute", with("DATA", mute), retry, "", ""},

		{"end 4yz", with("end", "451 4.3.0"+about), throttled, "451 4.3.0", "the message"},
		{"end 421", with("end", "421 4.3.2 bye"+hangUp), throttled, "421 4.3.2", ""},
		{"end 5yz", with("end", "554 5.7.1"+about), permanent, "554 5.7.1", "by its policy"},
		{"end too long", with("end", "552 5.3.4 big"), permanent, "552 5.3.4", "too long"},
		{"end not our sender", with("end", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"), hold, "550 5.7.60", "check from"},
		{"end closed", with("end", hangUp), unknown, "", "no answer came: the connection was closed"},
		{"end without a text", with("end", "250"), sent, "", ""},
		{"end half a reply", with("end", "25"+hangUp), unknown, "", ""},
		{"end of lines without end", with("end", strings.Repeat("250-x\r\n", replyLimit/4)), unknown, "", "is endless"},
		{"end mute", with("end", mute), unknown, "", "nothing within"},
		{"end garbage", with("end", "250banana"), unknown, "", ""},
		{"end meaningless", with("end", "354 go on"), unknown, "354", ""},
		{"end another code", with("end", "777 luck"), unknown, "777", ""},
	} {
		for _, piped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pipelining %v", c.name, piped), func(t *testing.T) {
				t.Parallel()
				play := c.play
				if piped {
					play = maps.Clone(play)
					play["EHLO"] = strings.Replace(play["EHLO"], "250 ENHANCEDSTATUSCODES", "250-PIPELINING\r\n250 ENHANCEDSTATUSCODES", 1)
				}
				s := newScript(t, play)
				o := options(s.port)
				o.Timeout = 10 * time.Second
				if strings.Contains(c.name, "mute") {
					o.Timeout = 2 * time.Second // the dialogue before must fit in it on a busy machine
				}
				got := try(t, channel(t, o), hello(t))
				if got.Verdict != c.want || got.Code != c.code || !strings.Contains(got.Detail, c.says) {
					t.Errorf("%+v; want verdict %d, code %q, saying %q", got, c.want, c.code, c.says)
				}
				if (got.Hold == send.HoldChannel) != (c.want == hold) || (got.ProviderID != "") != (c.want == sent) {
					t.Errorf("%+v", got)
				}
				if ended := s.ended.Load() > 0; (got.Verdict == unknown || got.Verdict == sent) && !ended {
					t.Errorf("got verdict %d before the end of the data", got.Verdict)
				}
			})
		}
	}
}

// A server that offers PIPELINING accepts DATA after it has refused the recipient. The message isn't
// sent, and the connection serves the next one.
func TestDataIsAcceptedAfterARefusedRecipient(t *testing.T) {
	refuses := with("EHLO", "250-mail.example\r\n250 PIPELINING", "RCPT 1", "550 5.1.1 no such user", "end", "554 5.5.1 no valid recipients")
	refuses["end 2"] = "250 2.0.0 Ok"
	s := newScript(t, refuses)
	c := channel(t, options(s.port))
	if res := try(t, c, hello(t)); res.Verdict != send.VerdictBadRecipient || res.Code != "550 5.1.1" {
		t.Errorf("got %+v; want a bad recipient", res)
	}
	if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
		t.Errorf("got %+v for the next message; want sent", res)
	}
	if n := s.connections.Load(); n != 1 {
		t.Errorf("got %d connections; want 1", n)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	switch got := try(t, channel(t, options(port)), hello(t)); {
	case got.Verdict != send.VerdictUnreachable:
		t.Errorf("got.Verdict = %v, want %v", got.Verdict, send.VerdictUnreachable)
	case !strings.Contains(got.Detail, "refused"):
		t.Errorf("got.Detail = %q, want \"refused\" in it", got.Detail)
	}
	o := options(port)
	o.Host = "no-such-host.invalid"
	if got := try(t, channel(t, o), hello(t)); got.Verdict != send.VerdictUnreachable {
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

// What the server says is quoted in reasons, without anything about the contact.
func TestWhatTheServerSaysHasNoContactData(t *testing.T) {
	for _, tt := range []struct {
		cue, answer string
		want        send.Verdict
		said        string
	}{
		{"RCPT", "450 4.7.28 Too fast, see https://mail.example/limits", send.VerdictThrottled, "Too fast, see …"}, // its domain is the contact's
		{"RCPT", "450 4.7.28 Too fast: <ana.lopez34600111222@mail.example>", send.VerdictThrottled, "Too fast: …"},
		{"RCPT", "452 4.5.3 Too many recipients for Ana and López", send.VerdictThrottled, "Too many recipients for … and López"},
		{"end", "451 4.6.0 Later, queue 4XyZ", send.VerdictDeferred, "Later, queue 4XyZ"},
		{"end", "554 5.7.1 Blocked: your host 203.0.113.25 is listed", send.VerdictPermanent, "Blocked: your host … is listed"},
		{"end", "554 5.7.1 Blocked, call +34 911 222 333", send.VerdictPermanent, "Blocked, call +…"},
		{"RCPT", "450 4.2.1 ana.lopez is over quota", send.VerdictRecipientBusy, ""},
		{"RCPT", "550 5.1.1 no ana.lopez here", send.VerdictBadRecipient, ""},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			s := newScript(t, with(tt.cue, tt.answer))
			res := try(t, channel(t, options(s.port)), hello(t))
			if res.Verdict != tt.want {
				t.Errorf("verdict %d, want %d", res.Verdict, tt.want)
			}
			if res.Said != tt.said {
				t.Errorf("said %q, want %q", res.Said, tt.said)
			}
		})
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
			switch <-s.muted {
			case "greeting":
				want = send.VerdictUnreachable
			case "end":
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
	if results[0].Verdict != send.VerdictUnreachable {
		t.Errorf("canceled before: results[0].Verdict = %v, want %v", results[0].Verdict, send.VerdictUnreachable)
	}
	if s.connections.Load() != 0 {
		t.Errorf("canceled before: s.connections.Load() = %v, want 0", s.connections.Load())
	}
}

// A connection that ends between MAIL and the end of the data leaves the server without the message.
func TestCutOffBeforeTheEndOfTheMessageIsUnwritten(t *testing.T) {
	for _, cue := range []string{"MAIL", "RCPT", "DATA"} {
		for what, answer := range map[string]string{"closed": hangUp, "answered badly": "250 Ok"} {
			if answer != hangUp && cue != "DATA" {
				continue // 250 is the reply that the client waits for there
			}
			t.Run(cue+" "+what, func(t *testing.T) {
				s := newScript(t, with(cue, answer))
				switch res := try(t, channel(t, options(s.port)), hello(t)); {
				case res.Verdict != send.VerdictRetry:
					t.Errorf("verdict of %+v: got %d, want %d", res, res.Verdict, send.VerdictRetry)
				case !res.Unwritten:
					t.Errorf("unwritten of %+v: got false, want true", res)
				}
			})
		}
	}
	t.Run("within the data", func(t *testing.T) {
		port := sendtest.Resets(t, "220 mail.example\r\n", "250 mail.example\r\n", "250 Ok\r\n", "250 Ok\r\n", "354 go on\r\n").Port
		m := message(t, content{Subject: "Hello", Text: strings.Repeat("Hello Ana\n", 1<<20)})
		o := options(port)
		o.Timeout = time.Minute // composing ten megabytes takes a while
		switch res := try(t, channel(t, o), m); {
		case res.Verdict != send.VerdictRetry:
			t.Errorf("verdict of %+v: got %d, want %d", res, res.Verdict, send.VerdictRetry)
		case !res.Unwritten:
			t.Errorf("unwritten of %+v: got false, want true", res)
		}
	})
}
