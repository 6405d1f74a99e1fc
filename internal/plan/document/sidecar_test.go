package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

func TestParseSidecar(t *testing.T) {
	digest := strings.Repeat("0aF", 21) + "9"
	got, problems := ParseSidecar("a.schedule.json", []byte(`{"applicationId": 1, "campaignId": 9007199254740993,
"scheduleAt": "2026-03-01T09:30:00Z", "slicingCondition": "deferredConsecutiveSlots",
"rows": 0, "bytes": 12, "sha256": "`+digest+`", "dryRun": true, "resend": false, "reference": "Frühling «1» 日本"}`))
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	one, big, none, twelve := int64(1), int64(9007199254740993), int64(0), int64(12)
	want := &Sidecar{File: "a.schedule.json", ApplicationID: &one, CampaignID: &big, ScheduleAt: "2026-03-01T09:30:00Z",
		SlicingCondition: campaign.DeferredConsecutiveSlots, Rows: &none, Bytes: &twelve, SHA256: strings.ToLower(digest),
		DryRun: true, Reference: "Frühling «1» 日本", objectPosition: position{1, 1}, positions: map[string]position{
			"applicationId": {1, 19}, "campaignId": {1, 36}, "scheduleAt": {2, 15}, "slicingCondition": {2, 59},
			"rows": {3, 9}, "bytes": {3, 21}, "sha256": {3, 35}, "dryRun": {3, 113}, "resend": {3, 129}, "reference": {3, 149}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Sidecar{}, position{})); diff != "" {
		t.Errorf("sidecar (-want +got):\n%s", diff)
	}
	got, problems = ParseSidecar("f", []byte("\ufeff{}\r\n"))
	switch diff := cmp.Diff(&Sidecar{File: "f", SlicingCondition: campaign.FragmentedSlots, objectPosition: position{1, 1}}, got, cmp.AllowUnexported(Sidecar{}, position{})); {
	case diff != "":
		t.Errorf("the smallest sidecar: want no difference:\n%s", diff)
	case problems.Count > 0:
		t.Errorf("the smallest sidecar: problems.Count = %v, want 0", problems.Count)
	}
}

func TestParseSidecarProblems(t *testing.T) {
	const digestWant = "want 64 hex digits, the SHA-256 of the CSV file"
	keys, conditions := list(SidecarKeys()), strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", campaign.Conditions), "[]"), " ", ", ")
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"empty file", "", []string{`1:1: the file is empty; a schedule is a JSON object, e.g. {"applicationId": 1, "campaignId": 7}, or {} for the inbox's defaults`}},
		{"array", "[]", []string{`1:1: found an array, want a JSON object, e.g. {"applicationId": 1, "campaignId": 7}, or {} for the inbox's defaults`}},
		{"unknown and wrongly cased keys", "{\"CampaignId\":1,\n\"schedule\":1,\"foo\":1}", []string{
			`1:2: CampaignId: unknown key "CampaignId"; did you mean "campaignId"? (known here: ` + keys + `)`,
			`2:1: schedule: unknown key "schedule"; did you mean "scheduleAt"? (known here: ` + keys + `)`,
			`2:14: foo: unknown key "foo" (known here: ` + keys + `)`}},
		{"a key twice", `{"rows":1,"rows":1}`, []string{`1:11: rows: the key "rows" appears a second time; keep one of them`}},
		{"numbers", `{"applicationId":"1","campaignId":1.5,"rows":-1,"bytes":1e3}`, []string{
			`1:18: applicationId: found a string, want a whole number from 1, without quotes`,
			`1:35: campaignId: found 1.5, want a whole number from 1 (no fraction, no exponent)`,
			`1:46: rows: found -1, want a whole number from 0 (no fraction, no exponent)`,
			`1:57: bytes: found 1e3, want a whole number from 0 (no fraction, no exponent)`}},
		{"number out of range", `{"rows":9223372036854775808,"campaignId":0}`, []string{
			`1:9: rows: found 9223372036854775808, which is too large: the largest number is 9223372036854775807`,
			`1:42: campaignId: found 0, want a whole number from 1 (no fraction, no exponent)`}},
		{"a number of many digits", `{"rows":` + strings.Repeat("9", 500) + `}`, []string{
			`1:9: rows: found ` + strings.Repeat("9", 57) + `…, which is too large: the largest number is 9223372036854775807`}},
		{"booleans", `{"dryRun":"true","resend":1}`, []string{
			`1:11: dryRun: found a string, want true or false, without quotes`,
			`1:27: resend: found a number, want true or false, without quotes`}},
		{"nulls", `{"applicationId":null,"scheduleAt":null,"dryRun":null,"reference":null,"slicingCondition":null,"sha256":null}`, []string{
			`1:18: applicationId: found null, want a whole number from 1, without quotes; leave the key out if it has no value`,
			`1:36: scheduleAt: found null, want a date and time, e.g. "2026-03-01T09:30:00Z"; leave the key out if it has no value`,
			`1:50: dryRun: found null, want true or false, without quotes; leave the key out if it has no value`,
			`1:67: reference: found null, want a string; leave the key out if it has no value`,
			`1:91: slicingCondition: found null, want one of ` + conditions + `; leave the key out if it has no value`,
			`1:105: sha256: found null, want 64 hex digits, the SHA-256 of the CSV file; leave the key out if it has no value`}},
		{"condition", `{"slicingCondition":"fragmentedslots"}`, []string{
			`1:21: slicingCondition: unknown condition "fragmentedslots"; did you mean "fragmentedSlots"? (want one of ` + conditions + `)`}},
		{"both times", `{"delay":"PT1S","scheduleAt":"2026-03-01T09:30:00Z"}`, []string{
			`1:30: delay: scheduleAt and delay can't both be given; keep one of them`}},
		{"empty times", `{"scheduleAt":""}`, []string{
			`1:15: scheduleAt: found an empty string, want a date and time, e.g. "2026-03-01T09:30:00Z"; leave the key out to send at once`}},
		{"a delay in seconds", `{"delay":20}`, []string{`1:10: delay: found a number, want a duration, e.g. "PT15M", in double quotes`}},
		{"short digest", `{"sha256":"abc"}`, []string{`1:11: sha256: found 3 characters, ` + digestWant}},
		{"no digest", `{"sha256":"` + strings.Repeat("x", 64) + `"}`, []string{`1:11: sha256: found 'x' among them, ` + digestWant}},
		{"long reference", `{"reference":"` + strings.Repeat("é", 129) + `"}`, []string{`1:14: reference: found 129 characters, want at most 128`}},
		{"reference with a line break", `{"reference":"a\nb"}`, []string{`1:14: reference: holds the control character U+000A, want plain text in one line`}},
		{"reference written backwards", `{"reference":"a\u202eb"}`, []string{`1:14: reference: holds the control character U+202E, want plain text in one line`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := ParseSidecar("f", []byte(c.data))
			var want []string
			for _, w := range c.want {
				want = append(want, "f:"+w)
			}
			if diff := cmp.Diff(want, lines(problems.List)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	if _, problems := ParseSidecar("f", []byte(`{"reference":"`+strings.Repeat("é", 128)+`"}`)); problems.Count > 0 {
		t.Errorf("128 characters: %v", problems.List)
	}
}
