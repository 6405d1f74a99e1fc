package whatsapp

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send/whatsapp/graphfake"

	"campaignd/internal/receipts"
)

// Every kind of message from a contact is passed on with its text and the message that it answers.
func TestReplyIsDropped(t *testing.T) {
	r := &receiver{}
	h, _ := hooks(t, r)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	one := func(id string, members map[string]any) graphfake.Reply {
		return graphfake.Reply{ID: id, From: "34666000111", At: at, Members: members}
	}
	text := func(key, value string) map[string]any { return map[string]any{key: value} }
	body := graphfake.Replies(phoneID,
		one("text", map[string]any{"type": "text", "text": text("body", "Yes, at 5")}),
		one("button", map[string]any{"type": "button", "button": map[string]any{"text": "Confirm", "payload": "p"}, "context": text("id", "wamid.1")}),
		one("choice", map[string]any{"type": "interactive", "interactive": map[string]any{"type": "button_reply", "button_reply": text("title", "Later")}}),
		one("list", map[string]any{"type": "interactive", "interactive": map[string]any{"type": "list_reply", "list_reply": text("title", "Monday")}}),
		one("reaction", map[string]any{"type": "reaction", "reaction": map[string]any{"message_id": "wamid.2", "emoji": "👍"}}),
		one("image", map[string]any{"type": "image", "image": text("caption", "my house")}),
		one("voice", map[string]any{"type": "audio", "audio": text("id", "1")}),
		one("future", map[string]any{"type": "hologram"}),
		graphfake.Reply{ID: "hidden", UserID: "US.1", At: at, Members: map[string]any{"type": "text", "text": text("body", strings.Repeat("x", maxReplyText+1))}},
		one("system", map[string]any{"type": "system", "system": text("body", "changed")}),
		one("moved", map[string]any{"type": "system", "system": map[string]any{"type": "user_changed_number", "wa_id": "34666000999", "user_id": "US.8", "previous_user_id": "US.7"}}),
		one("", map[string]any{"type": "text"}),
		graphfake.Reply{ID: "nobody", At: at, Members: map[string]any{"type": "text"}},
	)
	if rec := call(h, body, graphfake.Sign(secret, body)); rec.Code != http.StatusOK {
		t.Fatalf("answered %d", rec.Code)
	}
	want := []receipts.Reply{
		{ID: "text", Type: "text", Text: "Yes, at 5", Typed: true},
		{ID: "button", Type: "button", Text: "Confirm", Quoted: "wamid.1"},
		{ID: "choice", Type: "interactive", Text: "Later"},
		{ID: "list", Type: "interactive", Text: "Monday"},
		{ID: "reaction", Type: "reaction", Text: "👍", Quoted: "wamid.2"},
		{ID: "image", Type: "image", Text: "my house"},
		{ID: "voice", Type: "audio"},
		{ID: "future", Type: "hologram"},
		{ID: "hidden", Type: "text", Text: strings.Repeat("x", maxReplyText), Typed: true, UserID: "US.1"},
	}
	for i := range want {
		want[i].Account, want[i].At = phoneID, at
		if want[i].UserID == "" {
			want[i].Contact = "34666000111"
		}
	}
	if diff := cmp.Diff(want, r.replies); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]receipts.Move{{Contact: "34666000111", UserID: "US.7", NewContact: "34666000999", NewUserID: "US.8"}}, r.moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	if got := r.ignored[receipts.IgnoredMessage]; got != 3 {
		t.Errorf("%d messages are counted as ignored, want 3", got)
	}
}

func TestStopWords(t *testing.T) {
	words := []string{"stop", "Baja", "dar de baja"}
	for text, want := range map[string]bool{
		"stop": true, "STOP": true, " Stop. ": true, "¡¡BAJA!!": true, "«stop»": true, "ｓｔｏｐ": true, "sto\u200bp": true, "Dar  de\nbaja…": true,
		"": false, "stop it": false, "don't stop": false, "stopp": false, "darde baja": false, "!": false,
	} {
		r := receipts.Reply{Text: text, Typed: true}
		if got := r.IsStopWord(words); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	pressed := receipts.Reply{Text: "stop"} // a button's label is the sender's text
	if pressed.IsStopWord(words) {
		t.Error("a button opts out")
	}
}
