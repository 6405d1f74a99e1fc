package webhook

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
)

// The page's table of answers says what the code does with every status that it names.
func TestDocsOfStatuses(t *testing.T) {
	page, err := os.ReadFile("../../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "## `webhook`")
	part, _, _ = strings.Cut(part, "\n## ")
	reactions := map[send.Verdict]string{
		send.VerdictSent: "**sent**", send.VerdictThrottled: "**throttles the channel**", send.VerdictHold: "**holds the channel**",
		send.VerdictNoEndpoint: "**finds no endpoint**", send.VerdictRetry: "**tries again**", send.VerdictPermanent: "**refuses the message**",
	}
	statuses := 0
	for line := range strings.Lines(part) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !regexp.MustCompile(`^ \d{3}`).MatchString(cells[1]) {
			continue
		}
		for _, text := range regexp.MustCompile(`\b\d{3}\b`).FindAllString(cells[1], -1) {
			statuses++
			code, _ := strconv.Atoi(text)
			got := classify(&http.Response{StatusCode: code, Header: http.Header{}}, nil, time.Now())
			if want := reactions[got.Verdict]; !strings.Contains(cells[2], want) {
				t.Errorf("status %d: the page says %q; want it to say %q", code, cells[2], want)
			}
			if maybe := strings.Contains(cells[2], "may have taken"); maybe != got.MaybeDelivered {
				t.Errorf("status %d: the page says that the message may have been taken: %v; got %v", code, maybe, got.MaybeDelivered)
			}
		}
	}
	if statuses < 20 {
		t.Errorf("the page has %d statuses; want at least 20", statuses)
	}
}
