package csvfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReaderWarns(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"nothing", "a,b\n1,2\n\n\n", nil},
		{"rows of empty cells", "a,b\n,\n1,2\n,,\n\"\",\n", []string{"rows-empty x.csv:2: 3 rows of empty cells were skipped; this is the first"}},
		{"blank lines between the rows", "a,b\n1,2\n\n \n3,4\n\n", []string{"lines-blank x.csv: 2 blank lines between the rows were skipped"}},
		{"end-of-file mark", "a,b\n1,2\n\x1a", []string{"end-of-file-mark x.csv: the DOS end-of-file mark 0x1A at the end of the file was skipped"}},
		{"end-of-file mark after the last cell", "a,b\n1,2\x1a", []string{"end-of-file-mark x.csv: the DOS end-of-file mark 0x1A at the end of the file was skipped"}},
		{"end-of-file marks after a quote", "a,b\n1,\"2\"\x1a\x1a", []string{"end-of-file-mark x.csv: the DOS end-of-file mark 0x1A at the end of the file was skipped"}},
		{"blanks at the end", "a,b\n1,2\n  ", []string{"blanks-trailing x.csv: white space after the last row was skipped"}},
		{"a swallowed recipient", "a,b,c\n1,\"x,y\n2,z\",w\n3,4,5\n", []string{
			"cells-wide x.csv:2: b: 1 quoted cell has as many delimiters as a row, as if quotes of two rows had swallowed a recipient; this is the first"}},
		{"two columns and a comma", "a,b\n1,\"x, y\"\n", nil},
		{"two columns and a line break", "a,b\n1,\"x\n2,y\"\n3,\"a\n4,b\"\n", []string{
			"cells-wide x.csv:2: b: 2 quoted cells have as many delimiters as a row, as if quotes of two rows had swallowed a recipient; this is the first"}},
	} {
		for _, block := range []int{1, 7, blockSize} {
			r, problems := open(t, []byte(c.data), block, "a")
			if problems != "" {
				t.Fatal(c.name, problems)
			}
			if _, broken := all(t, r); broken != "" {
				t.Fatal(c.name, broken)
			}
			var got []string
			for _, w := range r.Warnings() {
				got = append(got, w.Code+" "+w.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s by %d (-want +got):\n%s", c.name, block, d)
			}
		}
	}
}

// TestForeignFormatsAreNamed: what a file is, is said instead of an error in its first line.
func TestForeignFormatsAreNamed(t *testing.T) {
	wide := func(text string, before, after int) string {
		var b strings.Builder
		for _, c := range []byte(text) {
			b.WriteString(strings.Repeat("\x00", before) + string(rune(c)) + strings.Repeat("\x00", after))
		}
		return b.String()
	}
	const text = "contactCode,name\n34666777001,Ada\n"
	for data, want := range map[string]string{
		"PK\x03\x04\x14\x00xl/workbook.xml":                                "an Excel workbook (.xlsx)",
		"PK\x03\x04\x14\x00a.csv":                                          "a zip archive",
		"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet (.ods)",
		"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\x00\x00":                         "an Excel workbook of the old format (.xls)",
		"\x1F\x8B\x08\x00abc":                                              "a gzip file",
		"%PDF-1.7\n":                                                       "a PDF document",
		"-----BEGIN PGP MESSAGE-----\n":                                    "a PGP message",
		"<!DOCTYPE html>\n<html>":                                          "a web page (HTML)",
		bomUTF8 + "\n <HTML><body>":                                        "a web page (HTML)",
		"<?xml version=\"1.0\"?><!DOCTYPE html>":                           "a web page (HTML)",
		"<?xml version=\"1.0\"?>\n<Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">": "an Excel workbook saved as XML",
		"<table><tr><td>1":                       "a web page (HTML)",
		`[{"contactCode": "1"}]`:                 "a JSON document",
		"\xFF\xFE\x00\x00" + wide("a,b\n", 0, 3): "UTF-32 text",
		wide(text, 0, 3):                         "UTF-32 text without a byte order mark",
		wide(text, 0, 1):                         "UTF-16 text without a byte order mark",
		wide(text, 1, 0):                         "UTF-16 text without a byte order mark",
	} {
		info := inspect(t, []byte(data))
		p := info.Problems("x.csv")
		if p.Count != 1 {
			t.Errorf("%.40q: p.Count = %v, want 1", data, p.Count)
		}
		if p.List[0].Code != "not-csv" {
			t.Errorf("%.40q: p.List[0].Code = %q, want \"not-csv\"\n%s\n%+v", data, p.List[0].Code, want, p.List)
		}
		if !strings.HasPrefix(p.List[0].Message, "the file is "+want) {
			t.Errorf("%.40q: p.List[0].Message = %q, want %q at the start", data, p.List[0].Message, "the file is "+want)
		}
	}
	for _, data := range []string{text, "<name>,b\n1,2\n", "{name},b\n", "[a],b\n", "PK,b\n1,2\n", "BZ,x\n", "a\x00,b\n"} {
		info := inspect(t, []byte(data))
		if p := info.Problems("x.csv"); p.Count > 0 && p.List[0].Code == "not-csv" {
			t.Errorf("%q: %v", data, p.List)
		}
	}
}
