package recipients

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/contact"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

const header = "contactCode,channelType,name\n"

// TestRowRules goes through docs/contract.md 4: what makes a row bad, in which column, in which words.
func TestRowRules(t *testing.T) {
	for _, c := range []struct{ name, row, want string }{
		{"good", "34666777888,cloud_api,Ana", ""},
		{"spaces around", "\" 34 666 \", cloud_api ,Ana", ""},
		{"an empty value", "34666777888,cloud_api,", ""},
		{"letters", "Ünï-Ee#1.5,sms,Ana", ""},
		{"an identifier with an e", "12e5,sms,Ana", ""},
		{"256 bytes", strings.Repeat("x", 256) + ",sms,Ana", ""},

		{"too few cells", "34666777888,cloud_api", "the row has 2 cells and the header 3"},
		{"one cell", "34666777888", "the line has a single cell and the header 3"},
		{"trailing delimiters", "34666777888,cloud_api,Ana, ,", "the row has 5 cells and the header 3; remove the surplus delimiters at its end"},
		{"the header again", "contactCode,channelType,name", "the row repeats the header"},
		{"too many cells", "34666777888,cloud_api,Ana,x", "the row has 4 cells and the header 3"},
		{"stray quote", `34666777888,cloud_api,5" pipe`, "name: a quote is inside a cell"},
		{"stray quote behind the columns", `1,2,3,4"4`, "a quote is inside a cell"},

		{"no contactCode", "\"\",cloud_api,Ana", "contactCode: the contactCode is empty"},
		{"contactCode of spaces", "   ,cloud_api,Ana", "contactCode: the contactCode is empty"},
		{"257 bytes", strings.Repeat("x", 257) + ",sms,Ana", "contactCode: the contactCode has 257 bytes; the limit is 256"},
		{"control character", "34666\t777,cloud_api,Ana", "contactCode: character 6 of the contactCode is a control character (U+0009)"},
		{"line break", "\"34666\n777\",cloud_api,Ana", "contactCode: character 6 of the contactCode is a control character (U+000A)"},
		{"C1 control", "34666\u0085,cloud_api,Ana", "control character (U+0085)"},
		{"no-break space", "34666777888\u00a0,cloud_api,Ana", "contactCode: character 12 of the contactCode is invisible (U+00A0)"},
		{"mark of direction", "\u202a34666777888,cloud_api,Ana", "contactCode: character 1 of the contactCode is invisible (U+202A)"},

		{"a spreadsheet's text as contact", `="34666777888",cloud_api,Ana`, "contactCode: the cell is written"},
		{"a spreadsheet's text as value", `34666777888,cloud_api,="Ana"`, "name: the cell is written"},
		{"a quoted one", `34666777888,cloud_api,"=""Ana"""`, "name: the cell is written"},
		{"no channelType", "34666777888,,Ana", `channelType: the channelType is empty; the campaign allows "cloud_api", "sms"`},
		{"unknown channel", "34666777888,fax,Ana", `channelType: the application has no channel of this name; the campaign allows "cloud_api", "sms"`},
		{"channel of the application alone", "34666777888,email,Ana", `channelType: the campaign doesn't allow the channel "email"; the campaign allows "cloud_api", "sms"`},
		{"another case", "34666777888,Cloud_API,Ana", `channelType: the channelType differs from "cloud_api" in upper and lower case`},

		{"refused by the channel", "34666777888,cloud_api,forbidden", errWord.Error()},
		{"the second message", "34666777888,sms,forbidden", "message 2: " + errWord.Error()},
		{"too much", "34666777888,sms," + strings.Repeat("x", MaxValues/3), "name: the values for the row's messages have more than the 16,384 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, writer := take(t, testSpec(t, plainLayout, nil), header+c.row+"\n", 100)
			counts, _ := a.Counts()
			if c.want == "" {
				if counts != (campaign.RowCounts{Total: 1, Accepted: 1}) {
					t.Fatal(counts, writer.refusals)
				}
				return
			}
			if counts != (campaign.RowCounts{Total: 1, Rejected: 1}) {
				t.Fatalf("counts = %+v, want %+v", counts, (campaign.RowCounts{Total: 1, Rejected: 1}))
			}
			if len(writer.refusals) != 1 {
				t.Fatalf("len(writer.refusals) = %v, want 1: %+v", len(writer.refusals), writer.refusals)
			}
			w := writer.refusals[0]
			got := (&refusal{column: w.Column, reason: w.Reason}).text()
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
			if w.Line != 2 {
				t.Errorf("w.Line = %v, want 2", w.Line)
			}
			if w.Outcome != campaign.Rejected {
				t.Errorf("w.Outcome = %v, want %v", w.Outcome, campaign.Rejected)
			}
			switch p := a.Problems(); {
			case p.Count != 1:
				t.Errorf("p.Count: got %v, want 1", p.Count)
			case p.List[0].File != "x.csv":
				t.Errorf(`p.List[0].File: got %q, want "x.csv"`, p.List[0].File)
			case p.List[0].Line != 2:
				t.Errorf("p.List[0].Line: got %v, want 2", p.List[0].Line)
			case p.List[0].Field != w.Column:
				t.Errorf("p.List[0].Field: got %v, want %v", p.List[0].Field, w.Column)
			}
			if w.Code == "" {
				t.Errorf("no code for %q", w.Reason)
			}
			// In rejected.csv it has its cells.
			rejected := writer.rejected.String()
			if first, _, _ := strings.Cut(c.row, ","); !strings.HasPrefix(rejected, first+",") {
				t.Errorf("rejected.csv has %q", rejected)
			}
			for _, cell := range []string{"34666777888", "Ana", "fax", "pipe"} {
				if strings.Contains(w.Reason, cell) {
					t.Errorf("the reason holds the cell %q: %s", cell, w.Reason)
				}
			}
		})
	}
}

// TestRuinedNumbersAreRefused: refused in just those words, never guessed.
func TestRuinedNumbersAreRefused(t *testing.T) {
	for cell, ruined := range map[string]bool{
		"3.46668E+10": true, "3,46668E+10": true, "3E+10": true, "-3.4e+10": true, "+3.46668E-05": true, "34666E+010": true,
		"3.46668E10": true, "E+10": false, "3.E+10": false, "3.4E+": false, "3.4E": false, "34666E10": false, "3.4E+1x": false, "e": false, "34666777888": false,
		"12e5": false, "3.4.5E+10": false, "a3E+10": false, "+": false, "-": false, "E": false,
	} {
		_, writer := take(t, testSpec(t, plainLayout, nil), header+"\""+cell+"\",cloud_api,Ana\n", 100)
		if got := len(writer.refusals) == 1; got != ruined {
			t.Errorf("%s: refused %v", cell, got)
		} else if got && !strings.Contains(writer.refusals[0].Reason, "a spreadsheet ruined the number: it shows it with an exponent, like 3.46668E+10") {
			t.Errorf("%s: %s", cell, writer.refusals[0].Reason)
		}
	}
	for _, cell := range []string{"#N/A", "#REF!", "########"} {
		_, writer := take(t, testSpec(t, plainLayout, nil), header+cell+",cloud_api,Ana\n", 100)
		switch {
		case len(writer.refusals) != 1:
			t.Errorf("%s: len(writer.refusals) = %v, want 1: %+v", cell, len(writer.refusals), writer.refusals)
		case !strings.Contains(writer.refusals[0].Reason, "error value"):
			t.Errorf("%s: writer.refusals[0].Reason = %q, want \"error value\" in it", cell, writer.refusals[0].Reason)
		}
	}
}

// TestBadRowsAreReportedAndGoodRowsKept: one bad row neither kills the rest nor is hidden, and
// what a cell holds is never taken for JSON or a variable.
func TestBadRowsAreReportedAndGoodRowsKept(t *testing.T) {
	data := header + "1,cloud_api,\"{{code}}\"\n2,fax,x\n3,cloud_api,\"a\"\"}},{\"\n"
	a, writer := take(t, testSpec(t, plainLayout, nil), data, 2)
	want := []string{`2 1 cloud_api "{{code}}" "X-{{code}}-{{code}}" "10%"`, `4 3 cloud_api "a\"}},{" "X-a\"}},{-a\"}},{" "10%"`}
	if d := cmp.Diff(want, writer.rows); d != "" {
		t.Error(d)
	}
	switch {
	case len(writer.refusals) != 1:
		t.Errorf("len(writer.refusals): got %v, want 1: %+v", len(writer.refusals), writer.refusals)
	case writer.refusals[0].Line != 3:
		t.Errorf("writer.refusals[0].Line: got %v, want 3", writer.refusals[0].Line)
	case writer.refusals[0].ContactCode != "2":
		t.Errorf(`writer.refusals[0].ContactCode: got %q, want "2"`, writer.refusals[0].ContactCode)
	case writer.refusals[0].ChannelType != "fax":
		t.Errorf(`writer.refusals[0].ChannelType: got %q, want "fax"`, writer.refusals[0].ChannelType)
	}
	if got := a.Previews()[1].Content; got != `{"body":"Hello a\"}},{"}` {
		t.Errorf("preview %s", got)
	}
	if v := verdict(a); v != "" {
		t.Error(v)
	}
}

func TestLayouts(t *testing.T) {
	for _, c := range []struct{ name, layout, data, want string }{
		{"fixed channel", `{"contact":{"contactCode":"{{contactCode}}","channelType":"cloud_api"}}`, "contactCode\n1\n", `2 1 cloud_api`},
		{"text around", `{"contact":{"contactCode":"+34{{contactCode}}","channelType":"{{a}}{{b}}"},"customFields":{"n":7,"yes":true,"t":"{{a}}: {{ b }}!"}}`,
			"contactCode,a,b\n1,cloud,_api\n", `2 +341 cloud_api "7" "true" "cloud: _api!"`},
		{"filters", `{"contact":{"contactCode":"{{contactCode|digits}}","channelType":"sms"},"customFields":{"n":"Dear {{a|first|title|default:friend}}!"}}`,
			"contactCode,a\n+1 2,\n", `2 12 sms "Dear friend!"`},
		{"NFC", `{"contact":{"contactCode":"{{contactCode}}","channelType":"sms"},"customFields":{"n":"{{an\u0303o}}"}}`, "contactCode,año\n1,2024\n", `2 1 sms "2024"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, writer := take(t, testSpec(t, c.layout, nil), c.data, 10)
			if d := cmp.Diff([]string{c.want}, writer.rows); d != "" {
				t.Error(d, writer.refusals)
			}
		})
	}
}

// TestReferencesAreKept: contact.reference is a value of the row.
func TestReferencesAreKept(t *testing.T) {
	layout := `{"contact":{"contactCode":"{{contactCode}}","channelType":"sms","reference":"o-{{order}}"}}`
	spec := testSpec(t, layout, func(s *Spec) { s.Variables = append(s.Variables, campaign.ReferenceVariable) })
	_, writer := take(t, spec, "contactCode,order\n1,77\n", 10)
	if d := cmp.Diff([]string{`2 1 sms "o-77"`}, writer.rows); d != "" {
		t.Error(d, writer.refusals)
	}
}

// TestRefusedRowsKeepTheirReference: a partner finds the row by it in results.csv, unless its cells are ruined.
func TestRefusedRowsKeepTheirReference(t *testing.T) {
	layout := `{"contact":{"contactCode":"{{contactCode}}","channelType":"sms","reference":"o-{{order}}"}}`
	spec := testSpec(t, layout, func(s *Spec) { s.Variables = append(s.Variables, campaign.ReferenceVariable) })
	_, writer := take(t, spec, "contactCode,order\n1,77\n1,78\n,79\n2,#REF!\n3,80,x\n4,"+strings.Repeat("8", 2000)+"\n4,\n", 10)
	var got []string
	for _, r := range writer.refusals {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Code, r.Reference))
	}
	want := []string{"3 duplicate o-78", "4 contact-empty o-79", "5 cell-error-value ", "6 row-cells ", "8 duplicate o-"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*Spec){
		"0 channels":      func(s *Spec) { s.Channels = nil },
		`column "name"`:   func(s *Spec) { s.Columns = []string{"contactCode", "channelType"} },
		`"contactCode"`:   func(s *Spec) { s.Columns = []string{"channelType", "name"} },
		`"channelType"`:   func(s *Spec) { s.Columns = []string{"contactCode", "name"} },
		`field "missing"`: func(s *Spec) { s.Variables = []string{"missing"} },
	} {
		spec := testSpec(t, plainLayout, nil)
		spec.Columns = []string{"contactCode", "channelType", "name"}
		change(&spec)
		if _, err := New(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestLargeLayoutsTakeSmallBatches: a layout that makes rows many times larger must not fill the memory.
func TestLargeLayoutsTakeSmallBatches(t *testing.T) {
	for _, c := range []struct {
		name  string
		value string
		small bool
	}{
		{"plain", "{{name}} and {{name}}", false},
		{"long text", strings.Repeat("x", 600), true},
		{"one column many times", strings.Repeat("{{name}}", 20), true},
		{"many parts", strings.Repeat("{{name}}{{contactCode}}-", 30), true},
	} {
		layout := fmt.Sprintf(`{"contact":{"contactCode":"{{contactCode}}","channelType":"sms"},"customFields":{"a":%q}}`, c.value)
		spec := testSpec(t, layout, func(s *Spec) { s.Columns = []string{"contactCode", "name"} })
		r, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.BatchRows() < csvfile.MaxBatch; got != c.small {
			t.Errorf("%s: %d rows a batch", c.name, r.BatchRows())
		}
	}
	layout := fmt.Sprintf(`{"contact":{"contactCode":%q,"channelType":"sms"}}`, strings.Repeat("{{contactCode}}{{name}}", 1000))
	a, writer := take(t, testSpec(t, layout, nil), "contactCode,name\n"+strings.Repeat("x", 100000)+",y\n", 1)
	switch n, _ := a.Counts(); {
	case n.Rejected != 1:
		t.Errorf("n.Rejected = %v, want 1", n.Rejected)
	case !strings.Contains(writer.refusals[0].Reason, "the limit is 256"):
		t.Errorf("writer.refusals[0].Reason = %q, want \"the limit is 256\" in it", writer.refusals[0].Reason)
	}
	if got := len(writer.refusals[0].ContactCode); got > MaxContact {
		t.Errorf("the refusal keeps %d bytes", got)
	}
}

// TestCheckIsSafeForManyWorkers is for the race detector.
func TestCheckIsSafeForManyWorkers(t *testing.T) {
	layout, _, _ := document.ParseLayout("x", []byte(plainLayout))
	spec := testSpec(t, plainLayout, func(s *Spec) { s.Layout, s.Columns = layout, []string{"contactCode", "channelType", "name"} })
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	data := header + "1,sms,a\n2,fax,b\n3,cloud_api,c\n"
	reader, _, err := csvfile.NewReader(strings.NewReader(data), csvfile.Info{Encoding: csvfile.UTF8}, csvfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var batch csvfile.Batch
	if err := reader.ReadBatch(&batch); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var out Checked
			for range 50 {
				r.Check(reader, &batch, &out)
				if out.Rows.Len() != 2 {
					t.Errorf("out.Rows.Len() = %v, want 2", out.Rows.Len())
				}
				if len(out.Refusals) != 1 {
					t.Errorf("len(out.Refusals) = %v, want 1", len(out.Refusals))
				}
			}
		})
	}
	wg.Wait()
}

// phoneSpec is testSpec with phone numbers on cloud_api.
func phoneSpec(t testing.TB, country string) Spec {
	rules, err := contact.New(contact.Phone, country, false)
	if err != nil {
		t.Fatal(err)
	}
	return testSpec(t, plainLayout, func(s *Spec) { s.Channels[0].Contacts = rules })
}

// TestPhoneNumbers: spellings of one number are duplicates, and the normal form is kept beside the contactCode.
func TestPhoneNumbers(t *testing.T) {
	a, writer := take(t, phoneSpec(t, "ES"), `contactCode,channelType,name
+34 666 777 888,cloud_api,a
34666777888,cloud_api,b
666777888.0,cloud_api,c
612345678.0,cloud_api,d
-34666777889,cloud_api,e
3.46668E+10,cloud_api,f
#N/D,cloud_api,g
TOTAL,cloud_api,h
+34 166 777 888,cloud_api,i
="0034666777888",cloud_api,raw
TOTAL,sms,j
`, 3)
	var got []string
	for i, row := range writer.rows {
		got = append(got, row+" "+writer.normal[i])
	}
	want := []string{
		`2 +34 666 777 888 cloud_api "a" "X-a-a" "10%" 34666777888`,
		`5 612345678.0 cloud_api "d" "X-d-d" "10%" 34612345678`,
		`10 +34 166 777 888 cloud_api "i" "X-i-i" "10%" 34166777888`,
		`12 TOTAL sms "j" "X-j-j" "10%" `,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	got = nil
	for _, r := range writer.refusals {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Outcome, r.Code))
	}
	want = []string{"3 duplicate duplicate", "4 duplicate duplicate", "6 rejected phone-negative", "7 rejected phone-exponent", "8 rejected cell-error-value", "9 rejected phone-character", "11 duplicate duplicate"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	got = nil
	for _, w := range a.Warnings() {
		got = append(got, w.Code+": "+w.String())
	}
	want = []string{
		"phone-unknown-range: x.csv:10: contactCode: the phone number is in a range that isn't known to be in use",
		`phone-decimal-zero: x.csv:4: contactCode: ".0" at the end of the phone number was left out, in 2 rows`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestEmailsDifferOnlyInCase: they are one contact.
func TestEmailsDifferOnlyInCase(t *testing.T) {
	rules, err := contact.New(contact.Email, "", false)
	if err != nil {
		t.Fatal(err)
	}
	_, writer := take(t, testSpec(t, plainLayout, func(s *Spec) { s.Channels[0].Contacts = rules }),
		"contactCode,channelType,name\nAna@Example.com,cloud_api,a\nana@example.COM,cloud_api,b\n34666777888,cloud_api,c\n", 10)
	var got []string
	for _, r := range writer.refusals {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Outcome, r.Code))
	}
	if diff := cmp.Diff([]string{"3 duplicate duplicate", "4 rejected email-invalid"}, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}
