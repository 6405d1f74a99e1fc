package whatsapp

import (
	"strings"
	"testing"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// A connection that ends while the request is written leaves Meta without the message.
func TestRequestThatIsCutOffIsUnwritten(t *testing.T) {
	c := driver(t, "http://"+sendtest.Resets(t).String(), nil)
	m := newMessage(t, c, welcome, "34600000001", 1)
	m.Content = render(t, c, welcome, strings.Repeat("x", 16<<20))
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{m}, results)
	switch res := results[0]; {
	case res.Verdict != send.VerdictRetry:
		t.Errorf("verdict of %+v: got %d, want %d", res, res.Verdict, send.VerdictRetry)
	case !res.Unwritten:
		t.Errorf("unwritten of %+v: got false, want true", res)
	}
}
