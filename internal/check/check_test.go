package check

import (
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// TestAllErrorsTogether: an error in one file doesn't hide the errors of the others
// (docs/contract.md 5), and consequences of an error are not reported.
func TestAllErrorsTogether(t *testing.T) {
	const ruined = goodCSV + "3.46668E+10,Eve\n"
	layout := func(from, to string) string { return strings.Replace(goodLayout, from, to, 1) }
	for name, c := range map[string]struct {
		csv, layout, sidecar string
		want                 []string // the errors, each by its beginning, and no others
	}{
		"a custom field of null": {ruined, layout(`"{{first}}"`, "null"), goodSidecar, []string{
			"spring.layout.json:1:96: customFields.name: found null", "spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"a custom field's column": {ruined, layout("{{first}}", "{{frist}}"), goodSidecar, []string{
			`spring.layout.json:1:97: customFields.name: the CSV has no column "frist"; did you mean "first"?`, "spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"a campaign's variable": {ruined, layout(`"name"`, `"nam"`), goodSidecar, []string{
			`spring.layout.json:1:87: customFields: the campaign uses {{name}}, and customFields has no "name"; did you mean "nam"? (it has: "nam"; the CSV's columns: "phone", "first")`,
			"spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"no contactCode": {ruined, layout("contactCode", "contactcode"), goodSidecar, []string{
			`spring.layout.json:1:14: contact.contactcode: unknown key "contactcode"; did you mean "contactCode"?`}},
		"no channelType": {ruined, layout("channelType", "channelTyp"), goodSidecar, []string{
			`spring.layout.json:1:42: contact.channelTyp: unknown key`, "spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"a channel that no row may have": {"phone,first,via\n34666777888,Ada,fax\n", layout(`"cloud_api"`, `"{{via}}"`), `{"applicationId": 1, "campaignId": 7, "delay": "P"}`, []string{
			`spring.schedule.json:1:48: delay: duration "P" has nothing after the P`,
			"spring.csv: no row of 1 is good", "spring.csv:2:17: via: the application has no channel of this name"}},
		"no campaign": {ruined, goodLayout, `{"applicationId": 1, "campaignId": 70}`, []string{
			"spring.schedule.json:1:36: campaignId: application 1 has no campaign 70", "spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"no application": {ruined, goodLayout, "{\"applicationId\": 9, \"campaignId\": 7,\n\"delay\": \"PP1D\", \"rows\": 4}", []string{
			"spring.schedule.json:1:19: applicationId: there is no application 9", `spring.schedule.json:2:10: delay: duration "PP1D"`,
			"spring.schedule.json:2:26: rows: the CSV has 3 data rows, the schedule says 4", "spring.csv:4:1: phone: a spreadsheet ruined the number"}},
		"both times, and each wrong": {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "delay": "P1T2H", "scheduleAt": "soon"}`, []string{
			`spring.schedule.json:1:48: delay: duration "P1T2H" has a number without a unit`,
			"spring.schedule.json:1:71: delay: scheduleAt and delay can't both be given", `spring.schedule.json:1:71: scheduleAt: date-time "soon" is not ISO 8601`}},
		"a row that was cut off": {goodCSV + "34666", goodLayout, goodSidecar, []string{
			"spring.csv:4: the file ends within this row: it is incomplete, or ends with a footer"}},
		"no layout, and no row": {"phone,first\n", "{", goodSidecar, []string{
			"spring.layout.json:1:2: not valid JSON: ", "spring.csv: the file has a header and no row"}},
		"wrong header and wrong layout": {"phone,phone\n3.46668E+10,x\n1\n", layout("first", "frist"), goodSidecar, []string{
			`spring.layout.json:1:97: customFields.name: the CSV has no column "frist"`,
			`spring.csv:1:7: phone: columns 1 and 2 have the same name "phone"`, "spring.csv:2: line 3, beside this row, has a single cell", "spring.csv:3:2: the line has a single cell and the header 2"}},
		"no CSV": {"", layout("contactCode", "contactcode"), `{"delay": "P"}`, []string{
			`spring.layout.json:1:14: contact.contactcode: unknown key "contactcode"`,
			"spring.schedule.json:1:1: applicationId: is missing", "spring.schedule.json:1:1: campaignId: is missing",
			`spring.schedule.json:1:11: delay: duration "P" has nothing after the P`,
			"spring.csv: is missing; a drop is spring.csv with spring.layout.json"}},
		"rows before the end of what can be read": {"phone,first\n,Ada\n3.46668E+10,Eve\n1,\"x\n", goodLayout, goodSidecar, []string{
			"spring.csv:2:1: phone: the contactCode is empty", "spring.csv:3:1: phone: a spreadsheet ruined the number",
			"spring.csv:4:3: the quote here is never closed"}},
		"the same with a wrong layout": {"phone,first\n,Ada\n1,\"x\n", layout("first", "frist"), goodSidecar, []string{
			`spring.layout.json:1:97: customFields.name: the CSV has no column "frist"`, "spring.csv:2:1: phone: the contactCode is empty",
			"spring.csv:3:3: the quote here is never closed"}},
		"no layout": {ruined + "1\n", "", goodSidecar, []string{
			"spring.layout.json: is missing; a drop is spring.csv with spring.layout.json",
			"spring.csv:4: line 5, beside this row, has a single cell", "spring.csv:5:2: the line has a single cell and the header 2"}},
		"nothing but a sidecar": {"", "", goodSidecar, []string{"spring.layout.json: is missing", "spring.csv: is missing"}},
		"the bytes": {goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "bytes": 1}`, []string{
			"spring.schedule.json:1:48: bytes: the CSV has 46 bytes, the schedule says 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := checkDrop(t, c.csv, c.layout, c.sidecar)
			if !f.Wrong() {
				t.Fatalf("it became %+v", f.Sending)
			}
			var got []string
			for _, p := range f.Sending.Problems {
				got = append(got, p.String())
			}
			for i, want := range c.want {
				switch {
				case len(got) != len(c.want):
					t.Fatalf("len(got) = %v, want %v\n%s", len(got), len(c.want), strings.Join(c.want, "\n"))
				case !strings.HasPrefix(got[i], want):
					t.Fatalf("got[i] = %q, want %q at the start\n%s", got[i], want, strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// TestWhatStopsTheDropIsListed: errors of the whole drop are listed however many rows are bad.
func TestWhatStopsTheDropIsListed(t *testing.T) {
	bad := "phone,first\n" + strings.Repeat(",x\n", 200)
	for name, c := range map[string]struct{ csv, layout, sidecar, want string }{
		"no good row":         {bad, goodLayout, goodSidecar, "no row of 200 is good"},
		"fewer than promised": {bad, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 9}`, "the CSV has 200 data rows, the schedule says 9"},
		"an open quote":       {bad + "1,\"x\n", goodLayout, goodSidecar, "the quote here is never closed"},
		"the same, and a wrong layout": {bad + "1,\"x\n", strings.Replace(goodLayout, "first", "frist", 1), goodSidecar,
			"the quote here is never closed"},
	} {
		f := checkDrop(t, c.csv, c.layout, c.sidecar)
		listed := false
		for _, p := range f.Sending.Problems {
			listed = listed || strings.Contains(p.Message, c.want)
		}
		switch {
		case len(f.Sending.Problems) != campaign.MaxProblems:
			t.Errorf("%s: len(f.Sending.Problems) = %v, want %v\n%s", name, len(f.Sending.Problems), campaign.MaxProblems, c.want)
		case f.Sending.ProblemCount <= 200:
			t.Errorf("%s: f.Sending.ProblemCount = %v, want more than 200\n%s", name, f.Sending.ProblemCount, c.want)
		case !listed:
			t.Errorf("%s: of %d errors %d are listed, %q: %v", name, f.Sending.ProblemCount, len(f.Sending.Problems), c.want, listed)
		}
	}
}
