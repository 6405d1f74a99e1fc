package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
)

// dropCase is a drop into a new harness and the expected result.
type dropCase struct {
	inbox, application    string // configuration
	csv, layout, sidecar  string // "": what is right; "-": no file
	state                 campaign.State
	says                  []string // in report.txt, or, of an accepted drop, among its warnings
	accepted, refused, du uint32
	prepare               func(*harness)
}

func (c *dropCase) run(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, c.inbox, c.application)
	if c.prepare != nil {
		c.prepare(h)
	}
	file := func(text, right string) string {
		switch text {
		case "":
			return right
		case "-":
			return ""
		}
		return text
	}
	s := h.drop("spring", file(c.csv, goodCSV), file(c.layout, goodLayout), file(c.sidecar, goodSidecar))
	if s == nil || s.State != c.state {
		t.Fatalf("got %+v, want State %q\n%s", s, c.state, h.log)
	}
	if s.State.Final() && !s.DryRun {
		wantParts(t, h.report(s), c.says...)
	} else {
		wantParts(t, fmt.Sprint(s.Warnings), c.says...)
	}
	if s.Rows.Accepted != c.accepted {
		t.Errorf("rows: s.Rows.Accepted = %v, want %v", s.Rows.Accepted, c.accepted)
	}
	if s.Rows.Rejected != c.refused {
		t.Errorf("rows: s.Rows.Rejected = %v, want %v", s.Rows.Rejected, c.refused)
	}
	if s.Rows.Duplicate != c.du {
		t.Errorf("rows: s.Rows.Duplicate = %v, want %v", s.Rows.Duplicate, c.du)
	}
	h.verifyStore()
	return h
}

func TestCheck(t *testing.T) {
	const rejected, scheduled, canceled = campaign.StateRejected, campaign.StateScheduled, campaign.StateCanceled
	for name, c := range map[string]dropCase{
		"good":                                  {state: scheduled, accepted: 2},
		"semicolons, BOM and Windows line ends": {csv: "\xef\xbb\xbfphone;first\r\n34666777888;Ada\r\n", state: scheduled, accepted: 1},
		"sep= line":                             {csv: "sep=;\nphone;first\n34666777888;Ada\n", state: scheduled, accepted: 1},
		"Windows-1252":                          {csv: "phone,first\n34666777888,Jos\xe9\n", state: scheduled, accepted: 1, says: []string{"is not UTF-8 and was read as Windows-1252"}},
		"duplicates":                            {csv: goodCSV + "34666777888,Ada again\n", state: scheduled, accepted: 2, du: 1},
		"no dedupe":                             {application: "dedupe = false", csv: goodCSV + "34666777888,Ada again\n", state: scheduled, accepted: 3},
		"campaign's keys in the layout": {layout: strings.Replace(goodLayout, "{", `{"sendType": "proactive", `, 1), state: scheduled, accepted: 2,
			says: []string{`"sendType" belongs to the campaign and is ignored here`}},

		// Inboxes.
		"defaults, no sidecar":     {inbox: "application = 1\ncampaign = 7", sidecar: "-", state: scheduled, accepted: 2},
		"defaults, empty sidecar":  {inbox: "application = 1\ncampaign = 7", sidecar: "{}", state: scheduled, accepted: 2},
		"default application only": {inbox: "application = 1", sidecar: `{"campaignId": 7}`, state: scheduled, accepted: 2},
		"no defaults, no sidecar": {sidecar: "-", state: rejected, says: []string{"2 errors were found",
			"spring.schedule.json: applicationId: is missing: there is no such file, and this inbox has no default for it; it may send for: 1, 2",
			"spring.schedule.json: campaignId: is missing"}},
		"default campaign of another application": {inbox: "application = 1\ncampaign = 7", sidecar: `{"applicationId": 2}`, state: rejected,
			says: []string{"campaignId: is missing"}},
		"application not allowed": {inbox: "allow_applications = [2]", state: rejected, says: []string{"this inbox may not send for application 1; it may for: 2"}},
		"campaign not allowed": {inbox: "allow_campaigns = [8, 9]", state: rejected,
			says: []string{"spring.schedule.json:1:", "campaignId: this inbox may not send campaign 7; it may send: 8, 9"}},
		"allowed campaign":         {inbox: "allow_campaigns = [7]", state: scheduled, accepted: 2},
		"allowed unknown campaign": {inbox: "allow_campaigns = [7, 70]", sidecar: `{"applicationId": 1, "campaignId": 70}`, state: rejected, says: []string{"application 1 has no campaign 70; this inbox may send: 7, 70"}},
		"unknown application": {sidecar: `{"applicationId": 9, "campaignId": 7}`, state: rejected,
			says: []string{"applicationId: there is no application 9; this inbox may send for: 1, 2"}},

		// Campaigns.
		"unknown campaign":  {sidecar: `{"applicationId": 1, "campaignId": 70}`, state: rejected, says: []string{"application 1 has no campaign 70; it has 7, 8, 20, 21"}},
		"no campaign":       {sidecar: `{"applicationId": 2, "campaignId": 7}`, state: rejected, says: []string{"application 2 has no campaign 7"}},
		"disabled campaign": {sidecar: `{"applicationId": 1, "campaignId": 20}`, state: rejected, accepted: 2, says: []string{"campaign 20 is disabled"}},
		"reactive campaign": {sidecar: `{"applicationId": 1, "campaignId": 21}`, state: rejected, accepted: 2,
			says: []string{`campaign 21 has the sendType "reactive": only proactive campaigns can be sent from a drop`}},

		// Channels.
		"unknown channel": {layout: strings.Replace(goodLayout, "cloud_api", "pigeon", 1), state: rejected,
			says: []string{`spring.layout.json:1:57: contact.channelType: found "pigeon"; campaign 7 can be sent on: cloud_api`}},
		"channel that the campaign doesn't allow": {csv: "phone,first,via\n34666777888,Ada,sms\n34666555666,Grace,cloud_api\n",
			layout: strings.Replace(goodLayout, "cloud_api", "{{via}}", 1), application: `max_bad_rows = "50%"`, state: scheduled, accepted: 1, refused: 1},

		// Time.
		"in the past": {sidecar: `{"applicationId": 1, "campaignId": 7, "scheduleAt": "2026-03-02T08:00:00Z"}`, state: rejected,
			says: []string{"spring.schedule.json:1:53: scheduleAt: \"2026-03-02T08:00:00Z\" is in the past"}, accepted: 2},
		"just passed": {sidecar: `{"applicationId": 1, "campaignId": 7, "scheduleAt": "2026-03-02T08:59:00Z"}`, state: scheduled, accepted: 2,
			says: []string{"has just passed; sent at once"}},
		"too far":           {sidecar: `{"applicationId": 1, "campaignId": 7, "delay": "P4M"}`, state: rejected, says: []string{`delay: "P4M" is too long`}, accepted: 2},
		"P1T2H":             {sidecar: `{"applicationId": 1, "campaignId": 7, "delay": "P1T2H"}`, state: rejected, says: []string{"delay: "}, accepted: 2},
		"P5T30M":            {sidecar: `{"applicationId": 1, "campaignId": 7, "delay": "P5T30M"}`, state: rejected, says: []string{"delay: "}, accepted: 2},
		"PP1D":              {sidecar: `{"applicationId": 1, "campaignId": 7, "delay": "PP1D"}`, state: rejected, says: []string{"delay: "}, accepted: 2},
		"P1PD":              {sidecar: `{"applicationId": 1, "campaignId": 7, "delay": "P1PD"}`, state: rejected, says: []string{"delay: "}, accepted: 2},
		"closed for a year": {application: `windows = ["* 9 29 2 *"]`, state: canceled, accepted: 2, says: []string{"the application's sending windows don't open within a year"}},

		// Rows.
		"ruined number":  {application: `max_bad_rows = "50%"`, csv: goodCSV + "3.46668E+10,Eve\n", state: scheduled, accepted: 2, refused: 1},
		"values as text": {csv: "phone,first\n34666777888,\"\"\"}],\"\"x\"\":{{y}}\"\n", state: scheduled, accepted: 1},
		"more bad rows than good ones": {csv: goodCSV + strings.Repeat(",Eve\n", 3), state: rejected, accepted: 2, refused: 3,
			says: []string{"3 of 5 rows are bad, more than the 10% that max_bad_rows allows", "spring.csv:4:1: phone: the contactCode is empty", "rejected.csv"}},
		"no good row": {csv: "phone,first\n,Eve\n", state: rejected, refused: 1, says: []string{"no row of 1 is good"}},
		"no row":      {csv: "phone,first\n", state: rejected, says: []string{"the file has a header and no row"}},
		"unclosed quote": {csv: goodCSV + "34666111222,\"Eve\n" + strings.Repeat("34666111223,x\n", 1000), state: rejected,
			says: []string{"spring.csv:4:13: the quote here is never closed"}},
		"max_rows":      {application: "max_rows = 1", state: rejected, says: []string{"more than the 1 row that max_rows allows"}},
		"max_file_size": {application: `max_file_size = "20B"`, state: rejected, says: []string{"spring.csv: has 46 bytes; max_file_size allows 20: split it into several drops"}},
		"large layout":  {layout: goodLayout + strings.Repeat(" ", document.MaxSize), state: rejected, says: []string{"spring.layout.json: has more than the 1,048,576 bytes"}},
		"large sidecar": {sidecar: goodSidecar + strings.Repeat(" ", document.MaxSize), state: rejected, says: []string{"spring.schedule.json: has more than the 1,048,576 bytes"}},

		// Slots.
		"no room": {application: `slicing = {enabled = true, slot = "1h", capacity = 1}` + "\n" + `windows = ["* 12 * * *"]`,
			csv: goodCSV + "1,x\n2,x\n3,x\n", state: canceled, accepted: 5, says: []string{"Canceled, nothing was sent: ", "room for 2 before 2026-03-04"}},
		"more messages than a slot": {application: `slicing = {enabled = true, slot = "1h", capacity = 1}`, sidecar: `{"applicationId": 1, "campaignId": 8}`,
			state: rejected, accepted: 2, says: []string{"Rejected, nothing was sent: "}},
	} {
		t.Run(name, func(t *testing.T) { c.runWithCampaigns(t) })
	}
}

// runWithCampaigns adds two campaigns that can't be sent.
func (c *dropCase) runWithCampaigns(t *testing.T) {
	t.Helper()
	extra := `messageContent": [{"body": "x"}]`
	c.prepare = func(h *harness) {
		h.campaign("20.json", `{"id": 20, "applicationId": 1, "title": "off", "enabled": false, "channelTypes": ["cloud_api"], "`+extra+`}`)
		h.campaign("21.json", `{"id": 21, "applicationId": 1, "title": "back", "enabled": true, "sendType": "reactive", "channelTypes": ["cloud_api"], "`+extra+`}`)
	}
	c.run(t)
}

// All problems of a drop are reported together.
func TestAllErrorsAtOnce(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", "phone,first\n34666777888,Ada\n34666555666\n34666555667,\"a\"\"b\"\n34666555668,\"x\n",
		`{"contact": {"contactCode": "{{fone}}", "channelTyp": "cloud_api"}, "customFields": {"nam": "{{first"}}`,
		`{"applicationId": 1, "campaignId": 7, "delay": "P1T2H", "slicingCondition": "fragmented", "rows": 5, "dryrun": true}`)
	d := h.watchedDrop("spring")
	h.clock = h.clock.Add(2 * time.Hour) // it has waited for its rows
	h.in.Ready(d)
	h.work()
	s := h.newest("spring")
	if s.State != campaign.StateRejected {
		t.Fatalf("%+v", s)
	}
	text := h.report(s)
	wantParts(t, text, "errors were found. Fix the errors below",
		`spring.schedule.json:1:77: slicingCondition: unknown condition "fragmented"; did you mean "fragmentedSlots"?`,
		`"dryrun"`, `did you mean "dryRun"?`, "delay: ",
		`"channelTyp"`, `did you mean "channelType"?`, `the CSV has no column "fone"`,
		`customFields has no "name"; did you mean "nam"?`,
		"spring.csv:5:13: the quote here is never closed", "rows: the CSV can't be read to its end (line 5), the schedule says 5 data rows")
	var doc struct {
		ErrorCount int
		Errors     []campaign.Problem
	}
	switch err := json.Unmarshal([]byte(h.tree("failed/" + s.FolderName())["report.json"]), &doc); {
	case err != nil:
		t.Errorf("%v\n%s", err, text)
	case doc.ErrorCount != len(doc.Errors):
		t.Errorf("doc.ErrorCount = %v, want %v\n%s", doc.ErrorCount, len(doc.Errors), text)
	case doc.ErrorCount < 10:
		t.Errorf("doc.ErrorCount = %v, want at least 10\n%s", doc.ErrorCount, text)
	}
}

// Rows that can't be checked because of other errors are at least counted.
func TestErrorsOfRowsWithoutACampaign(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.drop("spring", "phone,first\n34666777888,Ada\n34666555666\n34666555667,A\"b\"\n1,2,3\n", goodLayout, `{"applicationId": 1, "rows": 4}`)
	wantParts(t, h.report(s), "5 errors were found", "campaignId: is missing", "spring.csv:2: line 3, beside this row, has a single cell", "spring.csv:3:12: the line has a single cell and the header 2",
		"spring.csv:4:13: first: a quote is inside a cell", "spring.csv:5:5: the row has 3 cells and the header 2")
}

// A report lists the first bad rows and counts all.
func TestManyErrors(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.drop("spring", "phone,first\n"+strings.Repeat(",x\n", 500), goodLayout, goodSidecar)
	wantParts(t, h.report(s), "no row of 500 is good", "Errors (the first 100 of 501):\n  spring.csv: no row of 500 is good")
	if rows := strings.Count(h.tree("failed/" + s.FolderName())["rejected.csv"], "\n"); rows != 501 {
		t.Errorf("rejected.csv has %d lines", rows)
	}
}

// The report and rejected.csv say that a spreadsheet ruined the number.
func TestRuinedNumberReasons(t *testing.T) {
	h := newHarness(t, "", `max_bad_rows = "100%"`)
	s := h.drop("spring", goodCSV+"9.87654E+11,Eve\n", goodLayout, goodSidecar)
	h.sendAll(s.ID)
	all := h.tree("done/" + s.FolderName())
	const words = "a spreadsheet ruined the number"
	wantParts(t, all["rejected.csv"], "_line,_error", "9.87654E+11,Eve,4,", words)
	wantParts(t, all["results.csv"], "4,9.87654E+11,cloud_api,1,rejected,0,,,", words)
	wantParts(t, all["report.txt"], "spring.csv:4:1: phone: "+words)
	if strings.Contains(h.log.String(), "9.87") {
		t.Errorf("contact data in log or report: want no \"9.87\" in:\n%s", h.log.String())
	}
	if strings.Contains(all["report.txt"], "9.87") {
		t.Errorf("contact data in log or report: want no \"9.87\" in:\n%s", all["report.txt"])
	}
}

// Columns with letters beyond ASCII compare in NFC.
func TestHeadersCompareInNFC(t *testing.T) {
	h := newHarness(t, "", "")
	decomposed := "tele\u0301fono;first\n34666777888;Ada\n"
	layout := strings.Replace(goodLayout, "{{phone}}", "{{ teléfono }}", 1)
	switch s := h.drop("spring", decomposed, layout, goodSidecar); {
	case s.State != campaign.StateScheduled:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateScheduled, s)
	case s.Rows.Accepted != 1:
		t.Errorf("s.Rows.Accepted = %v, want 1", s.Rows.Accepted)
	}
}

// A bad row stops no other row and is always reported.
func TestOneBadRowStopsNoOther(t *testing.T) {
	h := newHarness(t, "", "")
	csv := "phone,first\n"
	for i := range 20 {
		csv += fmt.Sprintf("346667778%02d,Ada\n", i)
	}
	s := h.drop("spring", csv+"34666,Ada,Eve\n", goodLayout, goodSidecar)
	switch {
	case s.State != campaign.StateScheduled:
		t.Fatalf("s.State: got %v, want %v", s.State, campaign.StateScheduled)
	case s.Rows.Accepted != 20:
		t.Fatalf("s.Rows.Accepted: got %v, want 20", s.Rows.Accepted)
	case s.Rows.Rejected != 1:
		t.Fatalf("s.Rows.Rejected: got %v, want 1", s.Rows.Rejected)
	case s.ProblemCount != 1:
		t.Fatalf("s.ProblemCount: got %v, want 1", s.ProblemCount)
	}
	wantParts(t, h.tree("accepted/" + s.FolderName())["status.json"], `"rejected": 1`, "the row has 3 cells and the header 2")
}
