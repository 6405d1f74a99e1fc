package whatsapp

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// manyContacts gives each message its own contact: the suite sends all messages to one
// contact, whose rate the driver limits.
type manyContacts struct {
	*Channel
	last atomic.Int64
}

func (m *manyContacts) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for _, one := range msgs {
		one.ContactCode = fmt.Sprintf("+34 600 %06d", m.last.Add(1))
	}
	m.Channel.Send(ctx, msgs, results)
}

func TestConformance(t *testing.T) {
	unreachable := sendtest.Want{Verdict: send.VerdictUnreachable}
	unknown := sendtest.Want{Verdict: send.VerdictUnknown}
	hold := func(code string) sendtest.Want {
		return sendtest.Want{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: code}
	}
	throttled := func(after time.Duration) sendtest.Want {
		return sendtest.Want{Verdict: send.VerdictThrottled, RetryAfter: after, Code: "HTTP 429"}
	}
	sendtest.Run(t, sendtest.Driver{
		New: func(t *testing.T, server string, timeout time.Duration) send.Channel {
			c, err := New(Options{BaseURL: server, Version: defaultVersion, PhoneNumberID: phoneID, Token: token, Timeout: timeout, Concurrency: 64})
			if err != nil {
				t.Fatal(err)
			}
			return &manyContacts{Channel: c}
		},
		Item: welcome, Contact: "34600000001", Reply: `{"messaging_product":"whatsapp","messages":[{"id":"wamid.1","message_status":"accepted"}]}`,
		Cases: map[sendtest.Case]sendtest.Want{
			sendtest.Success:          {Verdict: send.VerdictSent, ProviderID: "wamid.1"},
			sendtest.Accepted:         unknown, // Meta always returns a message id
			sendtest.SlowServer:       unknown,
			sendtest.ResetBefore:      unreachable,
			sendtest.ResetAfter:       unknown,
			sendtest.HalfReply:        unknown,
			sendtest.HalfBody:         unknown,
			sendtest.Garbage:          unknown,
			sendtest.HugeBody:         unknown,
			sendtest.HugeHeader:       unknown,
			sendtest.Throttled:        throttled(0),
			sendtest.ThrottledSeconds: throttled(7 * time.Second),
			sendtest.ThrottledDate:    throttled(time.Hour),
			sendtest.Unavailable:      {Verdict: send.VerdictUnknown, Code: "HTTP 503"},
			sendtest.ServerError:      {Verdict: send.VerdictUnknown, Code: "HTTP 500"},
			sendtest.Redirect:         hold(""),
			sendtest.Unauthorized:     hold("HTTP 401"),
			sendtest.Forbidden:        hold("HTTP 403"),
			sendtest.BadRequest:       {Verdict: send.VerdictPermanent, Code: "HTTP 400"},
			sendtest.NotFound:         hold("HTTP 404"),
			// TooLarge is left out: intake refuses a content of megabytes.
			sendtest.Unprocessable:  {Verdict: send.VerdictPermanent, Code: "HTTP 422"},
			sendtest.BadCertificate: hold(""),
			sendtest.PlainAsTLS:     hold(""),
			sendtest.Refused:        unreachable,
			sendtest.Canceled:       unreachable,
			sendtest.CutOff:         unknown,
		},
	})
}
