package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
)

// Changes to campaign, layout or CSV after acceptance don't change what is sent.
func TestChangesAfterAcceptanceChangeNothing(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	h.campaign("7.json", `{"id": 7, "applicationId": 1, "title": "b", "enabled": false, "channelTypes": ["sms"], "messageContent": [{"body": "other"}]}`)
	for _, f := range []string{"spring.csv", "spring.layout.json"} {
		h.write(filepath.Join(folders.Of(s), f), "phone,first\n1,x\n")
	}
	h.crash()
	h.work()
	now, err := h.store.Header(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if string(now.Contents[0].Item) != `{"body":"hello {{name}}"}` {
		t.Errorf("now.Contents[0].Item = %q, want `{\"body\":\"hello {{name}}\"}`", string(now.Contents[0].Item))
	}
	if now.Channels[0] != "cloud_api" {
		t.Errorf("now.Channels[0] = %q, want \"cloud_api\"", now.Channels[0])
	}
	var rows campaign.Rows
	switch _, err := h.store.Rows(s.ID, 0, &rows, nil); {
	case err != nil:
		t.Error(err)
	case rows.Len() != 2:
		t.Errorf("rows.Len(): got %v, want 2", rows.Len())
	case string(rows.Contacts.At(1)) != "34666555666":
		t.Errorf(`rows.Contacts.At(1): got %q, want "34666555666"`, string(rows.Contacts.At(1)))
	case string(rows.Values[0].At(1)) != "Grace":
		t.Errorf(`rows.Values[0].At(1): got %q, want "Grace"`, string(rows.Values[0].At(1)))
	}
	// The next drop meets the changed campaign.
	switch s := h.drop("next", goodCSV, goodLayout, goodSidecar); {
	case s.State != campaign.StateRejected:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	case !strings.Contains(h.report(s), "campaign 7 is disabled"):
		t.Errorf("want \"campaign 7 is disabled\" in:\n%s", h.report(s))
	}
}

// The content identifies a drop, not size, time, inode or the first lines.
func TestContentIdentifiesADrop(t *testing.T) {
	h := newHarness(t, "", "")
	first := h.good("spring")
	switch s := h.drop("copy", goodCSV, goodLayout, goodSidecar); {
	case s.State != campaign.StateRejected:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	case s.Digest != first.Digest:
		t.Errorf("s.Digest = %q, want %q", s.Digest, first.Digest)
	}
	other := strings.Replace(goodCSV, "Grace", "Alice", 1)
	h.put("other", other, goodLayout, goodSidecar)
	file := filepath.Join(h.inbox, "other.csv")
	if err := os.Chtimes(file, time.Time{}, time.Unix(0, first.Files[0].ModTime)); err != nil {
		t.Fatal(err)
	}
	h.in.Ready(h.watchedDrop("other"))
	h.work()
	switch s := h.newest("other"); {
	case s.State != campaign.StateScheduled:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateScheduled, s)
	case s.Digest == first.Digest:
		t.Errorf("s.Digest = %q, want another one", s.Digest)
	case s.CSV.SHA256 == first.CSV.SHA256:
		t.Errorf("s.CSV.SHA256 = %q, want another one", s.CSV.SHA256)
	}
}

// A sending without room is canceled with a time at which it really would fit.
func TestNoRoomIsAdvised(t *testing.T) {
	h := newHarness(t, "", `slicing = {enabled = true, slot = "1h", capacity = 2}`)
	h.clock = time.Now().UTC().Truncate(time.Hour).Add(time.Hour) // the store has a clock of its own, and forgets past slots
	rows := func(n int) string {
		var b strings.Builder
		b.WriteString("phone,first\n")
		for i := range n {
			fmt.Fprintf(&b, "%d,x\n", i)
		}
		return b.String()
	}
	if s := h.drop("full", rows(96), goodLayout, goodSidecar); s.State != campaign.StateScheduled {
		t.Fatalf("%+v", s)
	}
	s := h.drop("more", rows(20), goodLayout, goodSidecar)
	if s.State != campaign.StateCanceled {
		t.Fatalf("%+v", s)
	}
	text := h.report(s)
	wantParts(t, text, "Canceled, nothing was sent: no room: 20 recipients of 1 message")
	when := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)`).FindAllString(s.Reason, -1)
	if len(when) == 0 {
		t.Fatal(text)
	}
	sidecar := fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "scheduleAt": %q}`, when[len(when)-1])
	if s := h.drop("later", rows(20), goodLayout, sidecar); s.State != campaign.StateScheduled {
		t.Errorf("%s\n%+v", sidecar, s)
	}
	h.verifyStore()
}

func TestDryRun(t *testing.T) {
	h := newHarness(t, "", `slicing = {enabled = true, slot = "1h", capacity = 2}`)
	s := h.drop("spring", goodCSV+",x\n"+strings.Repeat("x,y\n", 20), goodLayout, `{"applicationId": 1, "campaignId": 8, "dryRun": true, "reference": "order 4711"}`)
	switch {
	case s.State != campaign.StateCompleted:
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateCompleted, s)
	case len(s.Previews) != 5:
		t.Fatalf("len(s.Previews) = %v, want 5", len(s.Previews))
	case len(h.accepted) != 1:
		t.Fatalf("len(h.accepted) = %v, want 1", len(h.accepted))
	}
	text := h.report(s)
	wantParts(t, text, "Dry run, nothing was sent: 3 recipients would get 6 messages in all.", "order 4711", "Slices (fragmentedSlots)", "two Ada", "line 3, to 34666555666 on cloud_api, message 1:")
	if _, err := os.Lstat(filepath.Join(folders.Final(s), "results.csv")); err == nil {
		t.Error("a dry run has results")
	}
	// It doesn't count as an earlier drop and has reserved nothing.
	if s := h.drop("again", goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 8}`); s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
	h.verifyStore()
}

// The same drop again is refused with the id of the earlier one, unless that was canceled
// or the sidecar has resend.
func TestDuplicateDrops(t *testing.T) {
	h := newHarness(t, "", `duplicate_window = "1h"`)
	first := h.good("spring")
	s := h.drop("copy", goodCSV, goodLayout, `{"campaignId": 7, "applicationId": 1, "delay": "PT1M"}`)
	if s.State != campaign.StateRejected {
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	}
	if !s.ScheduledAt.IsZero() {
		t.Fatalf("s.ScheduledAt = %v, want none", s.ScheduledAt)
	}
	wantParts(t, h.report(s), "the same drop was accepted before as "+string(first.ID), `"resend": true`)
	for name, c := range map[string][3]string{
		"another CSV":      {goodCSV + "1,x\n", goodLayout, goodSidecar},
		"another layout":   {goodCSV, goodLayout + "\n", goodSidecar},
		"another campaign": {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 8}`},
		"meant":            {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "resend": true}`},
	} {
		if s := h.drop(name, c[0], c[1], c[2]); s.State != campaign.StateScheduled {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, s := range h.sendings() {
		if s.State == campaign.StateScheduled {
			if _, err := h.dispatcher.Cancel(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := h.drop("after canceling", goodCSV, goodLayout, goodSidecar); s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
}
