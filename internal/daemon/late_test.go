package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// TestRepliesAndReceiptsAfterTheEnd: the files of an ended sending have them within
// results_refresh, and while more keep coming the files are renewed less and less often.
func TestRepliesAndReceiptsAfterTheEnd(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			return send.Result{Verdict: send.VerdictSent, ProviderID: "wamid." + m.ContactCode}
		}
		w.start()
		w.drop("spring", 200)
		w.until(at(9, 30))
		replies := func() string {
			data, err := os.ReadFile(filepath.Join(w.folder("spring"), "replies.csv"))
			w.check(err)
			return string(data)
		}
		const header = "at,line,contactCode,reference,type,text\n"
		if got := replies(); got != header {
			t.Errorf("replies.csv is %q before the first reply; want its header", got)
		}
		sent := w.allSent()
		w.signedReplies(graphfake.TextReply("wamid.r", sent[0].contact, "=yes", "", at(9, 20)))
		w.wait(5 * time.Minute)
		if got, want := replies(), header+"2026-03-04T09:20:00Z,2,"+sent[0].contact+",,text,'=yes\n"; got != want {
			t.Errorf("replies.csv after results_refresh is %q; want %q", got, want)
		}

		w.until(at(11, 0))
		renewed, before := 0, stat(w, "spring", "report.json")
		for i := range 180 {
			w.signedWebhook(graphfake.Status{ID: "wamid." + sent[i].contact, Status: "delivered", At: w.now(), Recipient: sent[i].contact, Key: sent[i].key})
			w.wait(time.Minute)
			if now := stat(w, "spring", "report.json"); !os.SameFile(before, now) {
				before, renewed = now, renewed+1
			}
			if i == 4 && renewed == 0 {
				t.Error("the first receipts are not in the files after results_refresh")
			}
		}
		if renewed < 4 || renewed > 7 { // at once, then after 5, 10, 20, 40, 60 and 60 minutes
			t.Errorf("the files were renewed %d times in three hours of receipts; want 6", renewed)
		}
		w.wait(time.Hour)
		if got, want := *w.report("spring").Delivery, (campaign.DeliveryCounts{Delivered: 180}); got != want {
			t.Errorf("report.json has deliveries %+v; want %+v", got, want)
		}
	})
}
