package intake

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/plan/spreadsheet/sheettest"
	"campaignd/internal/watch"
)

// gz packs a text.
func gz(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipOf packs files: a name, its text, and so on.
func zipOf(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// dropPacked drops a file, perhaps with layout and sidecar, and returns its sending.
func (h *harness) dropPacked(name, ending, content, layout, sidecar string) *campaign.Sending {
	h.t.Helper()
	h.put(name, "", layout, sidecar)
	h.write(filepath.Join(h.inbox, name+ending), content)
	h.in.Ready(h.watchedPacked(name, ending))
	h.work()
	return h.newest(name)
}

// watchedPacked is watchedDrop with a CSV of another extension.
func (h *harness) watchedPacked(name, ending string) watch.Drop {
	h.t.Helper()
	d := h.watchedDrop(name)
	d.CSV = h.watchedFile(name + ending)
	return d
}

func TestPackedDrops(t *testing.T) {
	const rejected, scheduled = campaign.StateRejected, campaign.StateScheduled
	const defaults = "application = 1\ncampaign = 7\n"
	sheet := string(sheettest.Simple([]string{"phone", "first"}, []string{"34666777888", "Ada"}, []string{"34666555666", "Grace"}))
	two := sheettest.Workbook{Sheets: []sheettest.Sheet{{Name: "May", Data: `<row><c t="inlineStr"><is><t>phone</t></is></c><c t="inlineStr"><is><t>first</t></is></c></row>`},
		{Name: "June", Data: `<row><c t="inlineStr"><is><t>phone</t></is></c><c t="inlineStr"><is><t>first</t></is></c></row>`}}}
	for name, c := range map[string]struct {
		inbox, application string
		ending, content    string
		layout, sidecar    string
		state              campaign.State
		accepted, refused  uint32
		says               []string // in report.txt, or, of an accepted drop, among its warnings
		rejectedCSV        string   // all of it
	}{
		"gzip":               {ending: ".csv.gz", content: gz(t, goodCSV), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2},
		"gzip in upper case": {ending: ".CSV.GZ", content: gz(t, goodCSV), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2},
		"gzip without a last line end": {ending: ".csv.gz", content: gz(t, strings.TrimSuffix(goodCSV, "\n")), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2,
			says: []string{"the last line has no line end"}},
		"gzip with a bad row": {ending: ".csv.gz", content: gz(t, goodCSV+",Eve\n"), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2, refused: 1,
			rejectedCSV: "phone,first,_line,_error\n,Eve,4,\"phone: the contactCode is empty\"\n"},
		"gzip of a zip": {ending: ".csv.gz", content: gz(t, zipOf(t, "a.csv", goodCSV)), layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{"the file is a zip archive, not a CSV"}},
		"gzip with its proof": {ending: ".csv.gz", content: gz(t, goodCSV), layout: goodLayout, state: scheduled, accepted: 2,
			sidecar: fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "rows": 2, "bytes": %d, "sha256": "%x"}`, len(gz(t, goodCSV)), sha256.Sum256([]byte(gz(t, goodCSV))))},
		"gzip bomb": {application: `max_file_size = "1GiB"`, ending: ".csv.gz", content: gz(t, strings.Repeat(" ", 40<<20)), layout: goodLayout, sidecar: goodSidecar, state: rejected,
			says: []string{"spring.csv.gz: is a bomb"}},
		"gzip of more than max_file_size": {application: `max_file_size = "1KiB"`, ending: ".csv.gz", content: gz(t, goodCSV+strings.Repeat("34666777888,Ada\n", 200)), layout: goodLayout, sidecar: goodSidecar,
			state: rejected, says: []string{"spring.csv.gz: unpacks to more than 1,024 bytes, which is what max_file_size allows"}},
		"a file of more than max_file_size": {application: `max_file_size = "10B"`, ending: ".csv.gz", content: gz(t, goodCSV), layout: goodLayout, sidecar: goodSidecar,
			state: rejected, says: []string{"max_file_size allows 10"}},
		"a CSV called .csv.gz": {ending: ".csv.gz", content: goodCSV, layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{"spring.csv.gz: is not a gzip file"}},

		"zip of everything":    {ending: ".zip", content: zipOf(t, "x.csv", goodCSV, "x.layout.json", goodLayout, "schedule.json", goodSidecar), state: scheduled, accepted: 2},
		"zip of a CSV alone":   {inbox: defaults, ending: ".zip", content: zipOf(t, "x.csv", goodCSV), layout: goodLayout, state: scheduled, accepted: 2},
		"zip by a Mac":         {ending: ".csv.zip", content: zipOf(t, "x.csv", goodCSV, "__MACOSX/._x.csv", "x"), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2},
		"zip of a spreadsheet": {ending: ".zip", content: zipOf(t, "x.xlsx", sheet), layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2},
		"zip with a bad row": {ending: ".zip", content: zipOf(t, "x.csv", goodCSV+",Eve\n,Eve\n,Eve\n,Eve\n,Eve\n,Eve\n", "layout.json", goodLayout), sidecar: goodSidecar, state: rejected, accepted: 2, refused: 6,
			says: []string{"spring.zip/x.csv:4:1: phone: the contactCode is empty"}},
		"zip with a wrong layout": {ending: ".zip", content: zipOf(t, "x.csv", goodCSV, "layout.json", "{"), sidecar: goodSidecar, state: rejected, says: []string{"spring.zip/layout.json:1:2: not valid JSON"}},
		"zip with a large layout": {ending: ".zip", content: zipOf(t, "x.csv", goodCSV, "layout.json", strings.Repeat("ab", 1<<20)), sidecar: goodSidecar, state: rejected, says: []string{"spring.zip/layout.json: unpacks to more than 1,048,576 bytes"}},
		"zip with the proof of its CSV": {ending: ".zip", layout: goodLayout, state: scheduled, accepted: 2, content: zipOf(t, "x.csv", goodCSV, "schedule.json",
			fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "bytes": %d, "sha256": "%x"}`, len(goodCSV), sha256.Sum256([]byte(goodCSV))))},
		"a layout in the zip and next to it": {ending: ".zip", content: zipOf(t, "x.csv", goodCSV, "layout.json", goodLayout), layout: goodLayout, sidecar: goodSidecar, state: rejected,
			says: []string{"spring.zip/layout.json: is in the zip, and spring.layout.json is next to it"}},
		"zip of two CSVs":    {ending: ".zip", content: zipOf(t, "x.csv", goodCSV, "y.csv", goodCSV), layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{"has several CSVs or spreadsheets"}},
		"zip with a way out": {ending: ".zip", content: zipOf(t, "../x.csv", goodCSV), layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{`has "../x.csv", a name that leads out of the archive`}},

		"spreadsheet": {ending: ".xlsx", content: sheet, layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 2},
		"spreadsheet alone": {inbox: defaults + `layout = "columns"`, ending: ".xlsx", content: string(sheettest.Simple([]string{"Telefono", "name"}, []string{"34666777888", "Ada"})), state: scheduled, accepted: 1,
			says: []string{`contactCode = column "Telefono"`}},
		"spreadsheet with numbers and dates": {ending: ".xlsx", layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 1, says: []string{"1 cell is a date and was written like 2026-11-28"},
			content: string((&sheettest.Workbook{Formats: []string{"dd/mm/yyyy"}, Sheets: []sheettest.Sheet{{Name: "S", Data: `<row><c t="inlineStr"><is><t>phone</t></is></c><c t="inlineStr"><is><t>first</t></is></c></row>` +
				`<row><c><v>3.4666777888E10</v></c><c s="1"><v>46354</v></c></row>`}}}).Bytes())},
		"spreadsheet with bad rows": {application: `max_bad_rows = "90%"`, ending: ".xlsx", layout: goodLayout, sidecar: goodSidecar, state: scheduled, accepted: 1, refused: 4,
			content: string((&sheettest.Workbook{Sheets: []sheettest.Sheet{{Name: "S", Data: `<row><c t="inlineStr"><is><t>phone</t></is></c><c t="inlineStr"><is><t>first</t></is></c></row>` +
				`<row r="3"><c r="A3"><v>34666777888</v></c><c r="B3" t="inlineStr"><is><t>Ana` + "\n" + `María</t></is></c></row>` +
				`<row r="5"><c r="A5"><v>1234567890123456</v></c><c r="B5"><v>1</v></c></row>` +
				`<row r="6"><c r="A6"><v>34666777889</v></c><c r="B6" t="e"><v>#N/A</v></c></row>` +
				`<row r="7"><c r="A7"><f>A6+1</f></c><c r="B7"><v>1</v></c></row>` +
				`<row r="8"><c r="A8"><v>34666777890</v></c><c r="B8"><v>1</v></c><c r="C8"><v>1</v></c></row>`}}}).Bytes()),
			rejectedCSV: "\ufeffphone,first,_line,_error\n" +
				`1.23457E+15,1,5,"phone: a spreadsheet ruined the number: it shows it with an exponent, like 3.46668E+10, and the digits are lost; format the column as text, enter it again and export the file again"` + "\n" +
				`34666777889,#N/A,6,"first: a spreadsheet wrote an error value here; fix the formula and export the file again"` + "\n" +
				`#NO-VALUE!,1,7,"phone: the cell is a formula, and the workbook doesn't have its result; open it in the spreadsheet program, save it and drop it again"` + "\n" +
				`34666777890,1,8,"the row has a cell beyond the last column of the header; delete it, or name its column",1` + "\n"},
		"the place of a cell": {ending: ".xlsx", layout: goodLayout, sidecar: goodSidecar, state: rejected, refused: 1, says: []string{"spring.xlsx:A3: phone: the contactCode is empty"},
			content: string(sheettest.Simple([]string{"phone", "first"}, nil, []string{"", "Ada"}))},
		"spreadsheet with two lists": {ending: ".xlsx", content: string(two.Bytes()), layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{"spring.xlsx: several of its sheets have the columns"}},
		"spreadsheet without the column": {ending: ".xlsx", content: string(sheettest.Simple([]string{"fone", "first"}, []string{"1", "Ada"})), layout: goodLayout, sidecar: goodSidecar, state: rejected,
			says: []string{`the CSV has no column "phone"; did you mean "fone"?`}},
		"spreadsheet with the proof of its rows": {ending: ".xlsx", content: sheet, layout: goodLayout, sidecar: `{"applicationId": 1, "campaignId": 7, "rows": 2}`, state: scheduled, accepted: 2},
		"an old workbook":                        {ending: ".xlsx", content: "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and more", layout: goodLayout, sidecar: goodSidecar, state: rejected, says: []string{"spring.xlsx: is an Office document of the old format (.xls), or one with a password"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, c.inbox, c.application)
			s := h.dropPacked("spring", c.ending, c.content, c.layout, c.sidecar)
			if s == nil || s.State != c.state {
				t.Fatalf("got %+v, want State %q\n%v\n%v", s, c.state, h.in.Waits(h.inbox), h.log)
			}
			dir := folders.Of(s)
			if s.State.Final() {
				dir = folders.Final(s)
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
			switch got, err := os.ReadFile(filepath.Join(dir, "spring"+c.ending)); {
			case err != nil:
				t.Error(err)
			case string(got) != c.content:
				t.Errorf("got %q, want %q", string(got), c.content)
			}
			if c.rejectedCSV != "" {
				if got, err := os.ReadFile(filepath.Join(dir, "rejected.csv")); err != nil || string(got) != c.rejectedCSV {
					t.Errorf("rejected.csv is %q, want %q (%v)", got, c.rejectedCSV, err)
				}
			}
			h.verifyStore()
		})
	}
}

// A file that was cut off waits like any upload that may go on.
func TestCutArchiveWaits(t *testing.T) {
	for ending, content := range map[string]string{".csv.gz": gz(t, goodCSV), ".zip": zipOf(t, "a.csv", goodCSV), ".xlsx": string(sheettest.Simple([]string{"phone", "first"}, []string{"34666777888", "Ada"}))} {
		t.Run(ending, func(t *testing.T) {
			h := newHarness(t, "", "")
			if s := h.dropPacked("spring", ending, content[:len(content)-9], goodLayout, goodSidecar); s != nil {
				t.Fatalf("it became %+v", s)
			}
			switch waits := h.in.Waits(h.inbox); {
			case len(waits) != 1:
				t.Errorf("waits: len(waits) = %v, want 1: %+v", len(waits), waits)
			case !strings.Contains(waits[0].Reason, "the upload may have been cut off"):
				t.Errorf("waits: waits[0].Reason = %q, want \"the upload may have been cut off\" in it", waits[0].Reason)
			}
			if s := h.dropPacked("spring", ending, content, goodLayout, goodSidecar); s == nil || s.State != campaign.StateScheduled {
				t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
			}
		})
	}
}

// The size in a proof is that of the file as uploaded, or of the file in the zip: the text says which.
func TestProofOfAPackedFileNamesTheFile(t *testing.T) {
	packed := gz(t, goodCSV)
	for ending, c := range map[string][2]string{
		".csv.gz": {packed, fmt.Sprintf("spring.csv.gz, as it was uploaded, has %d bytes, the schedule says 1", len(packed))},
		".zip":    {zipOf(t, "a.csv", goodCSV), fmt.Sprintf("spring.zip/a.csv has %d bytes, the schedule says 1", len(goodCSV))},
	} {
		h := newHarness(t, "", "")
		if s := h.dropPacked("spring", ending, c[0], goodLayout, `{"applicationId": 1, "campaignId": 7, "bytes": 1}`); s != nil {
			t.Fatalf("%s: it became %+v", ending, s)
		}
		waits := h.in.Waits(h.inbox)
		if len(waits) != 1 {
			t.Fatalf("%s: %d drops wait, want 1", ending, len(waits))
		}
		if got := waits[0].Reason; got != c[1] {
			t.Errorf("%s: the reason is %q, want %q", ending, got, c[1])
		}
	}
}

func TestCutArchiveIsRejectedAfterPairTimeout(t *testing.T) {
	h := newHarness(t, "", "")
	content := gz(t, goodCSV)
	h.put("spring", "", goodLayout, goodSidecar)
	h.write(filepath.Join(h.inbox, "spring.csv.gz"), content[:len(content)-9])
	d := h.watchedPacked("spring", ".csv.gz")
	h.clock = h.clock.Add(61 * time.Minute)
	h.in.Ready(d)
	h.work()
	s := h.newest("spring")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateRejected, h.log)
	}
	wantParts(t, h.report(s), "spring.csv.gz: the gzip file has no end: the upload may have been cut off")
}

// A zip that lacks the layout waits for one next to it.
func TestZipWaitsForItsLayout(t *testing.T) {
	h := newHarness(t, "", "")
	content := zipOf(t, "a.csv", goodCSV, "schedule.json", goodSidecar)
	if s := h.dropPacked("spring", ".zip", content, "", ""); s != nil {
		t.Fatalf("it became %+v", s)
	}
	switch waits := h.in.Waits(h.inbox); {
	case len(waits) != 1:
		t.Errorf("waits: len(waits) = %v, want 1: %+v", len(waits), waits)
	case waits[0].Reason != "the zip has no layout, and spring.layout.json must still come":
		t.Errorf("waits: waits[0].Reason = %q, want %q", waits[0].Reason, "the zip has no layout, and spring.layout.json must still come")
	}
	if s := h.dropPacked("spring", ".zip", content, goodLayout, ""); s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
}

// What counts for the duplicate window is what is in the files.
func TestPackedDropTwiceIsADuplicate(t *testing.T) {
	h := newHarness(t, "", "")
	h.good("plain")
	for name, drop := range map[string][2]string{"packed": {".csv.gz", gz(t, goodCSV)}, "zipped": {".zip", zipOf(t, "b.csv", goodCSV)}} {
		switch s := h.dropPacked(name, drop[0], drop[1], goodLayout, goodSidecar); {
		case s == nil:
			t.Errorf("%s: s is nil", name)
		case s.State != campaign.StateRejected:
			t.Errorf("%s: s.State = %q, want %q", name, s.State, campaign.StateRejected)
		case !strings.Contains(s.Reason, "the same drop was accepted before"):
			t.Errorf("%s: s.Reason = %q, want \"the same drop was accepted before\" in it", name, s.Reason)
		}
	}
	cells := [][]string{{"phone", "first"}, {"34666777888", "Ada"}}
	if s := h.dropPacked("sheet", ".xlsx", string(sheettest.Simple(cells...)), goodLayout, goodSidecar); s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q", s, campaign.StateScheduled)
	}
	w := sheettest.Workbook{Sheets: []sheettest.Sheet{{Name: "Other name", Data: `<row><c t="str"><v>phone</v></c><c t="s"><v>0</v></c></row><row><c><v>34666777888</v></c><c t="str"><v>Ada</v></c></row>`}}, Texts: []string{"<t>first</t>"}}
	switch s := h.dropPacked("sheet2", ".xlsx", string(w.Bytes()), goodLayout, goodSidecar); {
	case s == nil:
		t.Error("s is nil")
	case s.State != campaign.StateRejected:
		t.Errorf("s.State = %q, want %q", s.State, campaign.StateRejected)
	case !strings.Contains(s.Reason, "the same drop was accepted before"):
		t.Errorf("s.Reason = %q, want \"the same drop was accepted before\" in it", s.Reason)
	}
}

// After a crash the drop is unpacked again from the original.
func TestPackedDropSurvivesACrash(t *testing.T) {
	h := newHarness(t, "", "")
	for name, drop := range map[string][2]string{"a": {".csv.gz", gz(t, goodCSV)}, "b": {".zip", zipOf(t, "b.csv", goodCSV+"34666111222,Eve\n", "layout.json", goodLayout, "schedule.json", goodSidecar)},
		"c": {".xlsx", string(sheettest.Simple([]string{"phone", "first"}, []string{"34666777888", "Ada"}, []string{"34666777889", "Eve"}))}} {
		layout, sidecar := goodLayout, goodSidecar
		if drop[0] == ".zip" {
			layout, sidecar = "", ""
		}
		h.put(name, "", layout, sidecar)
		h.write(filepath.Join(h.inbox, name+drop[0]), drop[1])
		if s, err := h.in.claims.claim(h.watchedPacked(name, drop[0]), nil); s == nil || err != nil {
			t.Fatal(s, err)
		}
	}
	h.crash()
	h.work()
	for _, name := range []string{"a", "b", "c"} {
		if s := h.newest(name); s == nil || s.State != campaign.StateScheduled {
			t.Errorf("%s: got %+v, want State %q\n%s", name, s, campaign.StateScheduled, h.log)
		}
	}
	h.verifyStore()
}

// report.json describes the file as it was uploaded.
func TestReportDescribesTheUploadedFile(t *testing.T) {
	h := newHarness(t, "", "")
	content := string(sheettest.Simple([]string{"phone", "first"}, []string{"34666777888", "Ada"}))
	s := h.dropPacked("spring", ".xlsx", content, goodLayout, goodSidecar)
	if s == nil {
		t.Fatal(h.log)
	}
	got, err := json.Marshal(s.CSV)
	want := fmt.Sprintf(`{"bytes":%d,"sha256":"%x","encoding":"xlsx","delimiter":""}`, len(content), sha256.Sum256([]byte(content)))
	if err != nil || string(got) != want {
		t.Errorf("csv is %s, want %s (%v)", got, want, err)
	}
}
