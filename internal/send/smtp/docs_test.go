package smtp

import (
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"campaignd/internal/send"
)

// The page's table of replies says what the code does.
func TestDocsOfReplies(t *testing.T) {
	page, err := os.ReadFile("../../../docs/channels-email.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]step{"connecting": stepGreeting, "STARTTLS": stepStartTLS, "AUTH": stepAuth, "MAIL": stepSender, "RCPT": stepRecipient, "end of data": stepEnd}
	reactions := map[string]send.Verdict{
		"never reached": send.VerdictUnreachable, "throttles the channel": send.VerdictThrottled, "waits for the recipient": send.VerdictRecipientBusy,
		"waits for the message": send.VerdictDeferred,
		"holds the channel":     send.VerdictHold, "refuses the recipient": send.VerdictBadRecipient, "refuses the message": send.VerdictPermanent,
	}
	replies := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		at, known := steps[strings.TrimSpace(cells[1])]
		want, isReaction := reactions[strings.Trim(cells[3], " *")]
		if !known || !isReaction {
			continue
		}
		for _, example := range regexp.MustCompile("`(\\d+) ([^`]*)`").FindAllStringSubmatch(cells[2], -1) {
			replies++
			code, _ := strconv.Atoi(example[1])
			c := &Channel{}
			got := c.classify(t.Context(), &email{}, &failure{step: at, err: &textproto.Error{Code: code, Msg: example[2]}})
			if got.Verdict != want {
				t.Errorf("%s after %s: got verdict %d (%s); the page says %d", example[0], cells[1], got.Verdict, got.Detail, want)
			}
		}
	}
	if replies < 30 {
		t.Errorf("the page has %d replies; want at least 30", replies)
	}
}
