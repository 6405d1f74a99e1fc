package daemon

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// TestMediaOfStoredSendingsIsKept: the files of every sending that may still send are needed, on the last page of the
// list of sendings too, and those of rejected and canceled ones aren't.
func TestMediaOfStoredSendingsIsKept(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		begin := func(name string, digests ...string) *campaign.Sending {
			head := &campaign.Sending{Name: name, ApplicationID: 1, CampaignID: 1}
			for _, digest := range digests {
				head.Media = append(head.Media, campaign.MediaFile{Name: digest + ".png", SHA256: digest})
			}
			w.check(w.running.store.Begin(head, nil))
			return head
		}
		begin("first", "aa", "bb")
		w.check(w.running.store.Refuse(begin("rejected", "cc"), campaign.StateRejected, "test"))
		w.check(w.running.store.Refuse(begin("canceled", "dd", "bb"), campaign.StateCanceled, "test"))
		for i := range 1000 { // a page of the list
			begin(fmt.Sprint("plain", i))
		}
		begin("last", "ee")
		needed, err := w.running.neededMedia()
		w.check(err)
		if diff := cmp.Diff([]string{"aa", "bb", "ee"}, slices.Sorted(maps.Keys(needed))); diff != "" {
			t.Errorf("needed files (-want +got):\n%s", diff)
		}
	})
}
