package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/report"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// repliesFile returns the drop's replies.csv.
func (w *harness) repliesFile(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder(name), "replies.csv"))
	w.check(err)
	return string(data)
}

// TestPartnersWhoShareANumber: a reply is in the folder of one sending only, although both partners
// sent to the contact from the same number.
func TestPartnersWhoShareANumber(t *testing.T) {
	one := receiptsConfig(t)
	scenario(t, at(9, 0), one+strings.Replace(one, "id = 1", "id = 2", 1), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			return send.Result{Verdict: send.VerdictSent, ProviderID: "wamid." + string(m.SendingID) + m.ContactCode}
		}
		w.start()
		w.accept("shop", 3)
		w.until(at(9, 5))
		w.accept("bank", 2, "applicationId", 2, "campaignId", 1)
		w.until(at(9, 10))
		w.signedReplies(
			graphfake.TextReply("wamid.a", "34666000000", "to the bank", "", w.now()),
			graphfake.TextReply("wamid.b", "34666000001", "to the shop", "wamid."+string(w.id("shop"))+"34666000001", w.now()),
			graphfake.TextReply("wamid.c", "34666000002", "the shop's alone", "", w.now()))
		w.wait(10 * time.Minute)
		for name, want := range map[string]string{
			"bank": "2,34666000000,,text,to the bank\n",
			"shop": "3,34666000001,,text,to the shop\n4,34666000002,,text,the shop's alone\n",
		} {
			got := strings.ReplaceAll(strings.TrimPrefix(w.repliesFile(name), report.RepliesHeader), "2026-03-04T09:10:00Z,", "")
			if got != want {
				t.Errorf("replies to the %s: %q; want %q", name, got, want)
			}
		}
	})
}

// TestRepliesAndReceiptsAfterTheEnd: the files of an ended sending have them within
// results_refresh, and while more keep coming the files are renewed less and less often.
func TestRepliesAndReceiptsAfterTheEnd(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			return send.Result{Verdict: send.VerdictSent, ProviderID: "wamid." + m.ContactCode}
		}
		w.start()
		w.drop("spring", 200, "scheduleAt", at(9, 20))
		w.until(at(9, 10))
		w.write("in/spring.results", "")
		w.wait(time.Minute)
		if got := w.repliesFile("spring"); got != report.RepliesHeader {
			t.Errorf("replies.csv is %q on request before the start; want its header", got)
		}
		w.until(at(9, 30))
		if got := w.repliesFile("spring"); got != report.RepliesHeader {
			t.Errorf("replies.csv is %q before the first reply; want its header", got)
		}
		sent := w.allSent()
		const first = "34666000000" // messages are sent in any order
		w.signedReplies(graphfake.TextReply("wamid.r", first, "=yes", "", at(9, 25)))
		w.wait(5 * time.Minute)
		if got, want := w.repliesFile("spring"), report.RepliesHeader+"2026-03-04T09:25:00Z,2,"+first+",,text,'=yes\n"; got != want {
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
