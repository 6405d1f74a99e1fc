package daemon

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
	"campaignd/internal/store"
)

// signedReplies calls the webhook with signed messages of contacts.
func (w *harness) signedReplies(replies ...graphfake.Reply) {
	w.t.Helper()
	body := graphfake.Replies(metaNumber, replies...)
	if code := w.webhook(body, graphfake.Sign("app-secret", body)); code != http.StatusOK {
		w.t.Fatalf("the webhook answers %d", code)
	}
}

func (w *harness) replies(name string) (lines []uint32, texts []string) {
	w.t.Helper()
	w.check(w.running.store.EachReply(w.id(name), func(r store.Reply) error {
		lines, texts = append(lines, r.Line), append(texts, r.Text)
		return nil
	}))
	return lines, texts
}

// TestRepliesAreLost: what recipients answer is stored with its sending, also after its end, in every
// spelling of the number; what answers nothing is counted.
func TestRepliesAreLost(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			return send.Result{Verdict: send.VerdictSent, ProviderID: "wamid." + string(m.SendingID) + m.ContactCode}
		}
		w.start()
		w.accept("spring", 3)
		w.until(at(9, 5))
		w.accept("summer", 4)
		w.until(at(9, 10))
		first := "wamid." + string(w.id("spring")) + "34666000001"
		w.signedReplies(
			graphfake.TextReply("wamid.a", "34666000000", "to the newest", "", w.now()),
			graphfake.TextReply("wamid.b", "34666000001", "to the quoted one", first, w.now()),
			graphfake.TextReply("wamid.c", "34999999999", "to nothing", "", w.now()))
		w.wait(3 * time.Minute)
		_, texts := w.replies("spring")
		if diff := cmp.Diff([]string{"to the quoted one"}, texts); diff != "" {
			t.Errorf("replies to spring (-want +got):\n%s", diff)
		}
		lines, texts := w.replies("summer")
		if diff := cmp.Diff([]string{"to the newest"}, texts); diff != "" {
			t.Errorf("replies to summer (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]uint32{2}, lines); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		if deleted, _, waiting, err := w.running.store.UnmatchedReplies(); deleted != 1 || waiting != 0 || err != nil {
			t.Errorf("%d unmatched, %d waiting, %v; want 1, 0", deleted, waiting, err)
		}
	})
}

// TestStopWordIsNoOptOut: a contact that types a stop word, and nothing else, gets no more messages on that channel.
func TestStopWordIsNoOptOut(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t)+"stop_words = [\"no more\", \"baja\"]\n", func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 4)
		w.until(at(9, 5))
		w.signedReplies(
			graphfake.TextReply("wamid.a", "34666000000", "¡BAJA!", "", w.now()),
			graphfake.TextReply("wamid.b", "34666000001", "No more.", "", w.now()),
			graphfake.TextReply("wamid.c", "34666000002", "stop", "", w.now()), // isn't configured
			graphfake.TextReply("wamid.d", "34666000003", "no more red ones", "", w.now()))
		w.accept("summer", 5)
		w.until(at(9, 10))
		if got := w.report("summer").Messages; got.Suppressed != 2 || got.Sent != 3 {
			t.Errorf("got %+v; want 2 suppressed, 3 sent", got)
		}
	})
}
