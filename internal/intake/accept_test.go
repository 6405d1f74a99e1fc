package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// TestPitfall25FrozenAtAcceptance: a campaign, layout or CSV that changes afterwards
// changes nothing of what was accepted.
func TestPitfall25FrozenAtAcceptance(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	r.campaign("7.json", `{"id": 7, "applicationId": 1, "title": "b", "enabled": false, "channelTypes": ["sms"], "messageContent": [{"body": "other"}]}`)
	for _, f := range []string{"spring.csv", "spring.layout.json"} {
		r.write(filepath.Join(folder(s), f), "phone,first\n1,x\n")
	}
	r.crash()
	r.work()
	now, err := r.store.Header(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if string(now.Contents[0].Item) != `{"body":"hello {{name}}"}` || now.Channels[0] != "cloud_api" {
		t.Errorf("%+v", now)
	}
	var rows campaign.Rows
	if _, err := r.store.Rows(s.ID, 0, &rows, nil); err != nil || rows.Len() != 2 || string(rows.Contacts.At(1)) != "34666555666" || string(rows.Values[0].At(1)) != "Grace" {
		t.Errorf("%v %+v", err, rows)
	}
	// The next drop meets the changed campaign.
	if s := r.drop("next", goodCSV, goodLayout, goodSidecar); s.State != campaign.StateRejected || !strings.Contains(r.report(s), "campaign 7 is disabled") {
		t.Errorf("%+v", s)
	}
}

func TestDryRun(t *testing.T) {
	r := newRig(t, "", `slicing = {enabled = true, slot = "1h", capacity = 2}`)
	s := r.drop("spring", goodCSV+",x\n"+strings.Repeat("x,y\n", 20), goodLayout, `{"applicationId": 1, "campaignId": 8, "dryRun": true, "reference": "order 4711"}`)
	if s.State != campaign.StateCompleted || len(s.Previews) != 5 || len(r.accepted) != 1 {
		t.Fatalf("%+v", s)
	}
	text := r.report(s)
	has(t, text, "Dry run, nothing was sent: 3 recipients would get 6 messages in all.", "order 4711", "Slices (fragmentedSlots)", "two Ada", "line 3, cloud_api, 34666555666, message 1:")
	if _, err := os.Lstat(filepath.Join(finalFolder(s), "results.csv")); err == nil {
		t.Error("a dry run has results")
	}
	// It is no earlier drop and has booked nothing.
	if s := r.drop("again", goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 8}`); s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
	r.balanced()
}

// The same drop again is refused and the earlier one named, unless it was canceled or
// the sidecar means it.
func TestDuplicateDrops(t *testing.T) {
	r := newRig(t, "", `duplicate_window = "1h"`)
	first := r.good("spring")
	s := r.drop("copy", goodCSV, goodLayout, `{"campaignId": 7, "applicationId": 1, "delay": "PT1M"}`)
	if s.State != campaign.StateRejected || !s.ScheduledAt.IsZero() {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), "the same drop was accepted before as "+string(first.ID), `"resend": true`)
	for name, c := range map[string][3]string{
		"another CSV":      {goodCSV + "1,x\n", goodLayout, goodSidecar},
		"another layout":   {goodCSV, goodLayout + "\n", goodSidecar},
		"another campaign": {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 8}`},
		"meant":            {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "resend": true}`},
	} {
		if s := r.drop(name, c[0], c[1], c[2]); s.State != campaign.StateScheduled {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, s := range r.sendings() {
		if s.State == campaign.StateScheduled {
			if _, err := r.steering.Cancel(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := r.drop("after canceling", goodCSV, goodLayout, goodSidecar); s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
}
