package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/send/whatsapp/graphfake"
	"campaignd/internal/store"
)

// TestOptOutOfUnknownChannelIsAdded: API and command refuse a channel that doesn't exist and a text that is no
// contact; nobody is opted out then.
func TestOptOutOfUnknownChannelIsAdded(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.start()
		add := func(list ...api.OptOut) error {
			_, err := w.running.AddOptOuts(context.Background(), list, "user:ada")
			return err
		}
		good := api.OptOut{ContactCode: "+34666000111"}
		wantCode(t, add(good, api.OptOut{ChannelType: "pusch", ContactCode: "+34666000111"}), api.CodeInvalid, `there is no channel "pusch"`, `did you mean "push"?`)
		wantCode(t, add(good, api.OptOut{ContactCode: "nobody"}), api.CodeInvalid, "nobody is opted out: contact 2 of 2 is not a contact")
		if n, err := w.running.store.OptOuts(); n != 0 || err != nil {
			t.Errorf("%d opt-outs, %v; want none", n, err)
		}
		w.check(add(good, api.OptOut{ChannelType: "push", ContactCode: "US.1"}))
	})
}

// TestDoctorHidesUnmatchedOptOuts: opt-outs of nobody, user ids without a number and replies to nothing are shown,
// without their contacts.
func TestDoctorHidesUnmatchedOptOuts(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.start()
		_, err := w.running.store.AddOptOuts([]store.OptOut{{ApplicationID: 1, ContactCode: "grace", Source: "file:x.suppress.csv"}, {ApplicationID: 1, ContactCode: "US.1"},
			{ApplicationID: 1, ContactCode: "+34666000111"}})
		w.check(err)
		w.signedReplies(graphfake.TextReply("wamid.a", "34999999999", "hello", "", w.now()), graphfake.Reply{ID: "wamid.b", UserID: "US.9", At: w.now(),
			Members: map[string]any{"type": "text", "text": map[string]any{"body": "hi"}}})
		w.wait(3 * time.Minute)
		findings, err := w.running.Doctor(context.Background(), false)
		w.check(err)
		var all strings.Builder
		for _, f := range findings {
			all.WriteString(f.Check + ": " + f.Message + "\n")
		}
		for _, want := range []string{"opt-outs: 3 are in force", "opt-outs: 1 match nobody, because they are not contacts of their channels; the last is of application 1, from file:x.suppress.csv",
			"opt-outs: 1 are user ids whose number isn't known", "replies: 1 since 2026-03-04", "replies: 1 wait"} {
			if !strings.Contains(all.String(), want) {
				t.Errorf("doctor lacks %q:\n%s", want, all.String())
			}
		}
		if strings.Contains(all.String(), "grace") || strings.Contains(all.String(), "US.1") {
			t.Errorf("doctor shows a contact:\n%s", all.String())
		}
	})
}
