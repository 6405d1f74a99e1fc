package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

func TestOneFileIsEnough(t *testing.T) {
	const rejected, scheduled = campaign.StateRejected, campaign.StateScheduled
	const columns = "application = 1\ncampaign = 7\nlayout = \"columns\"\n"
	const named = "contactCode,name\n34666777888,Ada\n34666555666,Grace\n"
	for name, c := range map[string]dropCase{
		"columns": {inbox: columns, csv: named, layout: "-", sidecar: "-", state: scheduled, accepted: 2, says: []string{
			"spring.schedule.json", "did not come, so the defaults were used: application 1, campaign 7, begins at once, fragmentedSlots",
			"spring.layout.json", `did not come, so the columns were used: contactCode = column "contactCode", channelType = cloud_api, name = column "name"`}},
		"columns, another delimiter": {inbox: columns, csv: "Teléfono;name;x\n34666777888;Ada;\"a,b,c\"\n", layout: "-", sidecar: "-", state: scheduled, accepted: 1,
			says: []string{`contactCode = column "Teléfono"`}},
		"own layout wins": {inbox: columns, sidecar: "-", state: scheduled, accepted: 2},
		"own columns for the contact": {inbox: columns + `contact_columns = ["MSISDN", "phone"]`, csv: "phone,msisdn,name\n1,34666777888,Ada\n", layout: "-", sidecar: "-",
			state: scheduled, accepted: 1, says: []string{`contactCode = column "msisdn"`}},
		"a column channelType": {inbox: "application = 1\ncampaign = 8\nlayout = \"columns\"", csv: "phone,name,channelType\n34666777888,Ada,sms\n34666777889,Eve,cloud_api\n",
			layout: "-", sidecar: "-", state: scheduled, accepted: 2, says: []string{`channelType = column "channelType"`}},
		"two channels and no column": {inbox: "application = 1\ncampaign = 8\nlayout = \"columns\"", csv: "phone,name\n34666777888,Ada\n", layout: "-", sidecar: "-", state: rejected,
			says: []string{`spring.csv: channelType: the campaign can be sent on "cloud_api", "sms", and the CSV has no column "channelType" that says on which`}},
		"no such column": {inbox: columns, csv: "phone,nombre\n34666777888,Ada\n", layout: "-", sidecar: "-", state: rejected,
			says: []string{`spring.csv: name: the campaign uses {{name}}, and the CSV has no column "name"`, `(its columns: "phone", "nombre")`}},
		"a bad row": {inbox: columns, csv: named + ",Eve\n", layout: "-", sidecar: "-", state: scheduled, accepted: 2, refused: 1},
		"a layout file": {inbox: "application = 1\ncampaign = 7\nlayout = \"%LAYOUT%\"", layout: "-", sidecar: "-", state: scheduled, accepted: 2,
			says: []string{"spring.layout.json", "did not come, so the inbox's layout was used: partner.json"}},

		"a schedule": {inbox: columns + `schedule = {delay = "PT1H", slicingCondition = "deferredConsecutiveSlots", reference = "daily"}`, csv: named, layout: "-", sidecar: "-",
			state: scheduled, accepted: 2, says: []string{`begins after PT1H, deferredConsecutiveSlots, reference "daily"`}},
		"a schedule and a sidecar": {inbox: columns + `schedule = {delay = "PT1H", dryRun = true}`, csv: named, layout: "-", sidecar: `{"scheduleAt": "2026-03-02T10:00:00Z", "dryRun": false}`,
			state: scheduled, accepted: 2},
		"a schedule too far ahead": {inbox: columns + `schedule = {delay = "P4M"}`, csv: named, layout: "-", sidecar: "-", state: rejected, accepted: 2,
			says: []string{`schedule of the inbox: delay: "P4M" is too long`}},
		"the name's campaign wins over the inbox's": {inbox: "application = 1\ncampaign = 20\nlayout = \"columns\"\nname_pattern = '(?P<reference>spring)'", csv: named, layout: "-",
			sidecar: `{"campaignId": 7}`, state: scheduled, accepted: 2},
		"a name of another form": {inbox: columns + `name_pattern = 'daily-(?P<campaign>\d+)'`, csv: named, layout: "-", sidecar: "-", state: rejected, accepted: 2,
			says: []string{`spring.csv: the name "spring" doesn't have the form that this inbox wants`}},
		"a name of another form, which should have the campaign": {inbox: "application = 1\nlayout = \"columns\"\nname_pattern = 'daily-(?P<campaign>\\d+)'", csv: named, layout: "-", sidecar: "-", state: rejected,
			says: []string{`Rejected, nothing was sent: spring.csv: the name "spring" doesn't have the form that this inbox wants`}},
		"a broken sidecar names an unknown campaign": {inbox: columns, csv: named, layout: "-", sidecar: `{"campaignId": 9,,}`, state: rejected,
			says: []string{"  Campaign     unknown, of application 1"}},
		"a sidecar's campaign that can't be read isn't the inbox's": {inbox: columns, csv: named, layout: "-", sidecar: `{"campaignId": "x"}`, state: rejected,
			says: []string{"  Campaign     unknown, of application 1"}},
		"a campaign in the name that can't be one": {inbox: "application = 1\nlayout = \"columns\"\nname_pattern = '(?P<campaign>\\w+)'", csv: named, layout: "-", sidecar: "-", state: rejected,
			says: []string{`Rejected, nothing was sent: spring.csv: campaignId: the name says "spring", want the number of the campaign`}},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.inbox, "%LAYOUT%") {
				path := filepath.Join(t.TempDir(), "partner.json")
				if err := os.WriteFile(path, []byte(goodLayout), 0o600); err != nil {
					t.Fatal(err)
				}
				c.inbox = strings.Replace(c.inbox, "%LAYOUT%", path, 1)
			}
			c.run(t)
		})
	}
}

func TestNameSaysWhatToSend(t *testing.T) {
	h := newHarness(t, `application = 2
campaign = 9
layout = "columns"
name_pattern = '(?P<reference>[a-z]+)-(?P<application>\d+)-(?P<campaign>\d+)-(?P<scheduleAt>\d+T\d+Z)'`, "")
	s := h.drop("offers-1-7-20260302T1215Z", "phone,name\n34666777888,Ada\n", "", "")
	if s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
	if s.ApplicationID != 1 || s.CampaignID != 7 || s.Reference != "offers" {
		t.Errorf("application %d, campaign %d, reference %q; want 1, 7, offers", s.ApplicationID, s.CampaignID, s.Reference)
	}
	if got, want := s.ScheduledAt.Format("2006-01-02T15:04Z07:00"), "2026-03-02T12:15Z"; got != want {
		t.Errorf("scheduled at %s, want %s", got, want)
	}
	s = h.drop("offers-1-7-20260302T1216Z", "phone,name\n34666777888,Ada\n34666777889,Eve\n", "", `{"reference": "sidecar", "delay": "PT1H"}`)
	switch {
	case s == nil:
		t.Fatal("s: got nil")
	case s.State != campaign.StateScheduled:
		t.Fatalf("s.State: got %v, want %v", s.State, campaign.StateScheduled)
	case s.Reference != "sidecar":
		t.Fatalf(`s.Reference: got %q, want "sidecar"`, s.Reference)
	case s.CampaignID != 7:
		t.Fatalf("s.CampaignID: got %v, want 7", s.CampaignID)
	}
	if got, want := s.ScheduledAt, h.clock.Add(3600e9); !got.Equal(want) {
		t.Errorf("scheduled at %s, want %s", got, want)
	}
}

// A campaign that NAME says and the inbox may not send is an error of NAME, not of a file that didn't come.
func TestNameOfACampaignThatIsNotAllowed(t *testing.T) {
	h := newHarness(t, "application = 1\nallow_campaigns = [8, 9]\nlayout = \"columns\"\nname_pattern = '[a-z]+-(?P<campaign>\\d+)'", "")
	s := h.drop("offers-7", "phone,name\n34666777888,Ada\n", "", "")
	switch want := "offers-7.csv: campaignId: this inbox may not send campaign 7; it may send: 8, 9"; {
	case s == nil:
		t.Fatalf("s is nil\n%s", h.log)
	case s.State != campaign.StateRejected:
		t.Fatalf("s.State = %q, want %q\n%s", s.State, campaign.StateRejected, h.log)
	case s.Reason != want:
		t.Fatalf("s.Reason = %q, want %q\n%s", s.Reason, want, h.log)
	}
}

// The same CSV again is a duplicate, also where nothing but the CSV came.
func TestOneFileTwiceIsADuplicate(t *testing.T) {
	h := newHarness(t, "application = 1\ncampaign = 7\nlayout = \"columns\"", "")
	if s := h.drop("a", "phone,name\n34666777888,Ada\n", "", ""); s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
	s := h.drop("b", "phone,name\n34666777888,Ada\n", "", "")
	switch {
	case s == nil:
		t.Fatalf("s is nil\n%s", h.log)
	case s.State != campaign.StateRejected:
		t.Fatalf("s.State = %q, want %q\n%s", s.State, campaign.StateRejected, h.log)
	case !strings.Contains(s.Reason, "the same drop was accepted before"):
		t.Fatalf("s.Reason = %q, want \"the same drop was accepted before\" in it\n%s", s.Reason, h.log)
	}
}

// After a crash the drop is checked again, and still needs no layout.
func TestOneFileSurvivesACrash(t *testing.T) {
	h := newHarness(t, "application = 1\ncampaign = 7\nlayout = \"columns\"", "")
	h.put("a", "phone,name\n34666777888,Ada\n", "", "")
	if s, err := h.in.claims.claim(h.watchedDrop("a"), nil); s == nil || err != nil {
		t.Fatal(s, err)
	}
	h.crash()
	h.work()
	switch s := h.newest("a"); {
	case s == nil:
		t.Fatalf("s is nil\n%s", h.log)
	case s.State != campaign.StateScheduled:
		t.Fatalf("s.State = %q, want %q\n%s", s.State, campaign.StateScheduled, h.log)
	case s.Rows.Accepted != 1:
		t.Fatalf("s.Rows.Accepted = %v, want 1\n%s", s.Rows.Accepted, h.log)
	}
}
