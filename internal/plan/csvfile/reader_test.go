package csvfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryDialect reads one table in every encoding, with every delimiter and line end.
func TestEveryDialect(t *testing.T) {
	for encoding, e := range encodings {
		for _, comma := range candidates {
			for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
				for _, last := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s %q %s end %v", encoding, comma, name, last), func(t *testing.T) {
						lines := []string{"teléfono;canal;nota", `34666777888;cloud_api;"dos` + end + `líneas; ""y"" más"`, "", "34666555666;cloud_api;niño"}
						s := strings.ReplaceAll(strings.Join(lines, end), ";", string(comma))
						if last {
							s += end
						}
						data := encode(t, encoding, s)
						info := inspect(t, data)
						if info.Encoding != e.name {
							t.Errorf("got encoding %q, want %q", info.Encoding, e.name)
						}
						if info.Unterminated == last {
							t.Errorf("unterminated: got %v, want %v", info.Unterminated, !last)
						}
						if info.RowBound() < 2 {
							t.Errorf("got a bound of %d rows, want at least 2", info.RowBound())
						}
						r, problems := open(t, data, 64, "teléfono", "canal")
						if problems != "" {
							t.Fatal(problems)
						}
						if r.Delimiter() != string(comma) {
							t.Errorf("delimiter %q", r.Delimiter())
						}
						if d := cmp.Diff([]string{"teléfono", "canal", "nota"}, r.Columns()); d != "" {
							t.Error(d)
						}
						rows, broken := all(t, r)
						want := fmt.Sprintf("2 %q\n5 %q\n",
							[]string{"34666777888", "cloud_api", `dos` + end + `líneas` + string(comma) + ` "y" más`},
							[]string{"34666555666", "cloud_api", "niño"})
						if d := cmp.Diff(want, text(rows)); d != "" || broken != "" {
							t.Error(broken, d)
						}
					})
				}
			}
		}
	}
}

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		name, data string
		wanted     string
		delimiter  string
		columns    string
		problem    string
	}{
		{"comma", "a,b\n", "a b", ",", "a|b", ""},
		{"the layout's columns decide", "a;x,y;b\n", "a b", ";", "a|x,y|b", ""},
		{"they decide against more columns", "a,b;c;d;e\n", "a", ",", "a|b;c;d;e", ""},
		{"none fits, most columns", "x;y;z\n", "a", ";", "x|y|z", ""},
		{"the one that fits best", "a;b,c;d,e\n", "a q", ";", "a|b,c|d,e", ""},
		{"quoted names", "\"a;1\";\"b\"\"2\"\n", "", ";", "a;1|b\"2", ""},
		{"a number in place of a name", "34666777001,Ada\n", "a", "", "", "x.csv:1: the first line looks like a recipient"},
		{"an address in place of a name", "n,ada@example.com\n", "a", "", "", "x.csv:1: the first line looks like a recipient"},
		{"names that are numbers, and the wanted ones", "666777001,a\n", "a", ",", "666777001|a", ""},
		{"a date as a name", "20251001,b\n", "a", ",", "20251001|b", ""},
		{"a name with a line break", "\"a\n1\",b\nx,y\n", "b", ",", "a\n1|b", ""},
		{"trimmed", " a ,\tb\u00a0\n", "a b", ",", "a|b", ""},
		{"in NFC", "tele\u0301fono,b\n", "teléfono", ",", "teléfono|b", ""},
		{"wanted in NFD", "teléfono;b,c\n", "tele\u0301fono", ";", "teléfono|b,c", ""},
		{"one column", "a\n", "a", ",", "a", ""},
		{"blank lines before", "\n\r\na,b\n", "a", ",", "a|b", ""},
		{"no line end", "a,b", "a", ",", "a|b", ""},
		{"sep", "sep=;\na,1;b\n", "", ";", "a,1|b", ""},
		{"sep against the layout", "sep=|\na,b|c\n", "a", "|", "a,b|c", ""},
		{"sep of a tab", "sep=\t\r\na\tb\r\n", "a", "\t", "a|b", ""},
		{"sep in quotes", "\"sep=;\"\na;b\n", "a", ";", "a|b", ""},
		{"Sep with filling", "SEP=;;;\na;b\n", "a", ";", "a|b", ""},
		{"sep in quotes with filling", "\"sep=,\",,\na,b\n", "a", ",", "a|b", ""},
		{"sep of something else", "sep=:\na:b\n", "a", "", "", `x.csv:1: the line sep= names ":"`},
		{"a column called sep=", "sep=,b\nx,y\n", "b", ",", "sep=|b", ""},
		{"sep and no more", "sep=;", "", "", "", "x.csv:1: the file has no line"},
		{"sep and a cut line end", "sep=;\r", "", "", "", "the file has no line"},
		{"an open quote before sep", "\"sep=,\r", "", "", "", "the file has no line"},
		{"a cut line end", "\r", "", "", "", "x.csv:1: the file has no line"},
		{"ambiguous", "x,a;y,b\n", "q", "", "", ""},
		{"ambiguous with the layout", "a|b,a\n", "a", "", "", "x.csv:1: the header can be cut"},
		{"ambiguous without it", "x,y;z\n", "", "", "", `both fit the layout equally well; begin the file with a line sep=,`},
		{"empty name", "a,,b\n", "a", ",", "a||b", "x.csv:1:3: column 2 of 3 has no name"},
		{"name of spaces behind sep", "sep=,\na, \n", "a", ",", "a|", "x.csv:2:3: column 2 of 2 has no name"},
		{"repeated name", "a,b, a\n", "a b", ",", "a|b|a", `x.csv:1:5: a: columns 1 and 3 have the same name "a"`},
		{"all problems at once", "a,,a\n", "a", ",", "a||a", "x.csv:1:3: column 2 of 3 has no name"},
		{"empty", "", "", "", "", "x.csv:1: the file has no line"},
		{"blank", "\n\n", "", "", "", "x.csv:1: the file has no line"},
		{"quote in a name", "a\"b,c\n1,2\n", "c", "", "", "x.csv:1: a name in the header has a quote within"},
		{"open quote", "\"a,b\n1,2\n", "a", "", "", "x.csv:1:1: the quote here is never closed"},
		{"text behind a quote", "\"a\"x,b\n", "a", "", "", "x.csv:1:4: text follows a closing quote"},
		{"lines that end with U+2028", "a,b\u20281,2\u20283,4", "a", "", "", "x.csv:1:4: the first line has the character U+2028"},
		{"lines that end with NEL", "phone,b\u008534666777001,2\u0085", "a", "", "", "x.csv:1:8: the first line has the character U+0085"},
		{"a number within a name", "Ada 34666777001,x\n", "a", "", "", "x.csv:1: the first line looks like a recipient"},
		{"mixed line ends", "sep=,\ra,b\n", "a", "", "", "x.csv:2:4: a line feed ends this line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, problems := open(t, []byte(c.data), 4, strings.Fields(c.wanted)...)
			if !strings.Contains(problems, c.problem) || c.name != "ambiguous" && (c.problem == "") != (problems == "") {
				t.Fatalf("got problems %q, want %q", problems, c.problem)
			}
			if c.columns == "" {
				return
			}
			if got := strings.Join(r.Columns(), "|"); got != c.columns || r.Delimiter() != c.delimiter {
				t.Errorf("got %q by %q, want %q by %q", got, r.Delimiter(), c.columns, c.delimiter)
			}
		})
	}
}

// TestLinesBeforeTheHeader: the error says where the names are, and not that each is missing.
func TestLinesBeforeTheHeader(t *testing.T) {
	for data, want := range map[string]string{
		"Customers 2026\n\na;b\n1;2\n":               "x.csv:1: the first line doesn't name the columns, but line 3 does; remove the lines before it",
		"# exported\r\n\"a\",\"b\"\r\n":              "x.csv:1: the first line doesn't name the columns, but line 2 does; remove the lines before it",
		"+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |": "x.csv:1: the first line doesn't name the columns, but line 2 does; remove the lines before it",
	} {
		if _, problems := open(t, []byte(data), blockSize, "a", "b"); problems != want {
			t.Errorf("%q: got %q, want %q", data, problems, want)
		}
	}
}

func TestRecords(t *testing.T) {
	for _, c := range []struct{ name, data, want, broken string }{
		{"quoted", "a,b\n\"1,1\",\"x\"\"y\"\n", `2 ["1,1" "x\"y"]`, ""},
		{"quoted line breaks are kept", "a,b\n1,\"x\r\ny\nz\rw\"\n2,3\n", `2 ["1" "x\r\ny\nz\rw"]` + "\n" + `5 ["2" "3"]`, ""},
		{"spaces are kept", "a,b\n 1 , 2\n", `2 [" 1 " " 2"]`, ""},
		{"blank lines", "a,b\n\n1,2\n\r\n\n3,4\n\n", "3 [\"1\" \"2\"]\n6 [\"3\" \"4\"]", ""},
		{"empty cells", "a,b\n1,\n\"\",2\n", "2 [\"1\" \"\"]\n3 [\"\" \"2\"]", ""},
		{"rows of empty cells", "a,b\n,\n1,2\n\"\",\"\"\n \t,\n,,,,\n3,4\n", "3 [\"1\" \"2\"]\n7 [\"3\" \"4\"]", ""},
		{"lines of white space", "a,b\n \t \n1,2\n  \n", `3 ["1" "2"]`, ""},
		{"end-of-file mark of DOS", "a,b\n1,2\n\x1a", `2 ["1" "2"]`, ""},
		{"end-of-file mark and zeros of line ends", "a,b\r\n1,2\r\n\x1a\r\n\r\n", `2 ["1" "2"]`, ""},
		{"a spreadsheet's way to write text", "a,b\n=\"0034666\",=\"\"\n1,=\"2\"", "2 [\"=\\\"0034666\\\"\" \"=\\\"\\\"\"]\n3 [\"1\" \"=\\\"2\\\"\"]", ""},
		{"a delimiter in it", "a,b\n=\"1,2\"\n", "2 fault 2/0 \"=\\\"1,2\\\"\"", ""},
		{"text behind it", "a,b\n=\"1\"&=\"2\",x\n", "2 fault 2/0 \"=\\\"1\\\"&=\\\"2\\\",x\"", ""},
		{"a quoted cell is what it holds", "a,b\n\"{{a}}\",'x'\n", `2 ["{{a}}" "'x'"]`, ""},
		{"no last line end", "a,b\n1,2", `2 ["1" "2"]`, ""},
		{"cut within CRLF", "a,b\r\n1,2\r", `2 ["1" "2"]`, ""},
		{"LF and CRLF", "a,b\n1,2\r\n3,4\n", "2 [\"1\" \"2\"]\n3 [\"3\" \"4\"]", ""},
		{"too few cells", "a,b,c\n1,2\n2,3,4\n", "2 fault 1/2 \"1,2\"\n3 [\"2\" \"3\" \"4\"]", ""},
		{"a line break in the first column", "a,b\n0,0\n1\n2,3\n4,5\n", "2 fault 6/3 \"0,0\"\n3 fault 5/1 \"1\"\n4 fault 6/3 \"2,3\"\n5 [\"4\" \"5\"]", ""},
		{"a line break in the last column of the last row", "a,b\n0,0\n1,2\n3\n", "2 [\"0\" \"0\"]\n3 fault 6/4 \"1,2\"\n4 fault 5/1 \"3\"", ""},
		{"a single cell with a stray quote", "a,b\n0,0\n5\" x\n4,5\n", "2 fault 6/3 \"0,0\"\n3 fault 2/0 \"5\\\" x\"\n4 fault 6/3 \"4,5\"", ""},
		{"a total in words", "a,b\n0,0\nTotal de registros: 1\n", "2 [\"0\" \"0\"]\n3 fault 5/1 \"Total de registros: 1\"", ""},
		{"a total of something else", "a,b\n0,0\ntotal loss 1\n", "2 fault 6/3 \"0,0\"\n3 fault 5/1 \"total loss 1\"", ""},
		{"footer of dashes", "a,b\n0,0\n-----\n", "2 [\"0\" \"0\"]\n3 fault 5/1 \"-----\"", ""},
		{"footer with the number of rows", "a,b\n0,0\n(2 rows affected)\n(2 filas)\n", "2 [\"0\" \"0\"]\n3 fault 5/1 \"(2 rows affected)\"\n4 fault 5/1 \"(2 filas)\"", ""},
		{"footer with a total", "a,b\n0,0\nTOTAL: 1.234\n", "2 [\"0\" \"0\"]\n3 fault 5/1 \"TOTAL: 1.234\"", ""},
		{"a floor in brackets is no footer", "a,b\n0,0\n(2 pisos)\n", "2 fault 6/3 \"0,0\"\n3 fault 5/1 \"(2 pisos)\"", ""},
		{"the row after a footer", "a,b\n0,0\n---\n1,1\n", "2 [\"0\" \"0\"]\n3 fault 5/1 \"---\"\n4 fault 6/3 \"1,1\"", ""},
		{"a notice after a blank line", "a,b\n0,0\n\nConfidential.\n\nDo not share.\n", "2 [\"0\" \"0\"]\n4 fault 5/1 \"Confidential.\"\n6 fault 5/1 \"Do not share.\"", ""},
		{"a notice after a row of empty cells", "a,b\n0,0\n,\nConfidential.\n", "2 [\"0\" \"0\"]\n4 fault 5/1 \"Confidential.\"", ""},
		{"a blank line, a single cell and another row", "a,b\n0,0\n\nx\n1,1\n2,2\n", "2 fault 6/4 \"0,0\"\n4 fault 5/1 \"x\"\n5 fault 6/4 \"1,1\"\n6 [\"2\" \"2\"]", ""},
		{"the header again", "a,b\n1,2\n\ufeffa, B \n3,4\n", "2 [\"1\" \"2\"]\n3 fault 7/0 \"\\ufeffa, B \"\n4 [\"3\" \"4\"]", ""},
		{"the header again in NFD", "é,b\n1,2\ne\u0301,b\n", "2 [\"1\" \"2\"]\n3 fault 7/0 \"e\u0301,b\"", ""},
		{"one column, a line each", "a\n1\n2\n", "2 [\"1\"]\n3 [\"2\"]", ""},
		{"too many cells", "a,b\n1,2,3\n2,3\n", "2 fault 1/3 \"1,2,3\"\n3 [\"2\" \"3\"]", ""},
		{"stray quote", "a,b\n1,5\" pipe\n2,3\n", "2 fault 2/1 \"1,5\\\" pipe\"\n3 [\"2\" \"3\"]", ""},
		{"stray quotes and a quoted cell", "a,b,c\n1\"1\"1,\"x,y\",z\n2,3,4\n", "2 fault 2/0 \"1\\\"1\\\"1,\\\"x,y\\\",z\"\n3 [\"2\" \"3\" \"4\"]", ""},
		{"stray quote at the end of a cell", "a,b\n1,x\"\n", `2 fault 2/1 "1,x\""`, ""},
		{"cut off", "a,b,c\n1,2,3\n3,4", "2 [\"1\" \"2\" \"3\"]\n3 fault 4/2 \"3,4\"", ""},
		{"cut off in the first cell", "a,b\n0,0\n1,2\n3", "2 [\"0\" \"0\"]\n3 [\"1\" \"2\"]\n4 fault 4/1 \"3\"", ""},
		{"too many cells without end", "a,b\n1,2,3", `2 fault 1/3 "1,2,3"`, ""},
		{"one column", "a\n1\n\n2\n", "2 [\"1\"]\n4 [\"2\"]", ""},
		{"one column, another delimiter", "a\n1;2\n\"3;4\"\n5|6\n", "2 fault 3/0 \"1;2\"\n3 [\"3;4\"]\n4 fault 3/0 \"5|6\"", ""},
		{"one column, said so", "sep=,\na\n1;2\n", `3 ["1;2"]`, ""},
		{"line feeds in cells of a CR file", "a,b\r1,\"x\ny\"\r2,3\r", "2 [\"1\" \"x\\ny\"]\n3 [\"2\" \"3\"]", ""},

		{"text behind a quote", "a,b\n1,2\n\"1\"x,2\n", "", "x.csv:3:4: text follows a closing quote"},
		{"space behind a quote", "a,b\n\"1\" ,2\n", "", "x.csv:2:4: text follows"},
		{"space before a quote", "a,b\n1, \"2\"\n", "", "x.csv:2:4: white space precedes the quote"},
		{"no-break space before a quote", "a,b\n1,\u00a0\"2\"\n", "", "x.csv:2:4: white space precedes the quote"},
		{"unclosed quote", "a,b\n1,2\n3,\"4\n5,6\n", "", "x.csv:3:3: the quote here is never closed"},
		{"unclosed quote that the next one closes", "a,b\n3,\"4\n5,\"6\"\n", "", "x.csv:3:4: text follows"},
		{"where a stray quote leaves the end uncertain", "a,b,c\n1,x\"y,\"z\n2,3,4\"\n", "", "x.csv:2:7: a quoted cell with line breaks follows a stray quote"},
		{"behind several lines", "a,b\n1,\"x\ny\"z\n", "", "x.csv:3:3: text follows"},
		{"behind letters beyond ASCII", "a,b\né,\"ü\"z\n", "", "x.csv:2:6: text follows"},
		{"lone CR", "a,b\n1,2\r3,4\n", "", "x.csv:2:4: a carriage return without a line feed"},
		{"CR CR LF", "a,b\r\r\n1,2\r\r\n\r\r\n3,4\r\r\n", "2 [\"1\" \"2\"]\n4 [\"3\" \"4\"]", ""},
		{"cut within CR CR LF", "a,b\r\r\n1,2\r\r", `2 ["1" "2"]`, ""},
		{"CR CR LF after CRLF", "a,b\r\n1,2\r\r\n", `2 ["1" "2"]`, ""},
		{"lone CR on a line of its own", "a,b\n\r1,2\n", "", "x.csv:2:1: a carriage return without"},
		{"lone CR behind a quoted cell", "a,b\n1,\"2\"\r3,4\n", "", "x.csv:2:6: a carriage return without"},
		{"LF in a CR file", "a,b\r1,2\n3,4\r", "", "x.csv:2:4: a line feed ends this line"},
	} {
		for _, block := range []int{1, 5, blockSize} {
			t.Run(fmt.Sprintf("%s by %d", c.name, block), func(t *testing.T) {
				r, problems := open(t, []byte(c.data), block, "a")
				if problems != "" {
					t.Fatal(problems)
				}
				rows, broken := all(t, r)
				if c.broken == "" {
					if d := cmp.Diff(c.want, strings.TrimRight(text(rows), "\n")); d != "" || broken != "" {
						t.Error(broken, d)
					}
				} else if !strings.HasPrefix(broken, c.broken) {
					t.Errorf("got %q, want %q", broken, c.broken)
				}
			})
		}
	}
}

// TestSpreadsheetFilesAreRead: a mark glued to the first column, sep=, semicolons,
// Windows-1252, names beyond ASCII.
func TestSpreadsheetFilesAreRead(t *testing.T) {
	for encoding := range encodings {
		data := encode(t, encoding, "sep=;\r\nteléfono;año\r\n34666777888;2024\r\n")
		r, problems := open(t, data, blockSize, "teléfono")
		if problems != "" {
			t.Fatal(encoding, problems)
		}
		if d := cmp.Diff([]string{"teléfono", "año"}, r.Columns()); d != "" {
			t.Error(encoding, d)
		}
		switch rows, broken := all(t, r); {
		case text(rows) != "3 [\"34666777888\" \"2024\"]\n":
			t.Errorf("text(rows) = %q, want %q", text(rows), "3 [\"34666777888\" \"2024\"]\n")
		case broken != "":
			t.Errorf("broken = %q, want none", broken)
		}
	}
}

// TestUnclosedQuoteIsBounded: one of them must not swallow the file and the memory.
func TestUnclosedQuoteIsBounded(t *testing.T) {
	head := "a,b\n1,2\n3,\"4\n"
	tail := strings.NewReader(strings.Repeat("5,6\n", 64<<20/4))
	src := io.MultiReader(strings.NewReader(head), tail)
	r, problems, err := NewReader(src, Info{Encoding: UTF8}, Options{File: "x.csv", Wanted: []string{"a"}})
	if err != nil || problems.Count > 0 {
		t.Fatal(problems, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, broken := all(t, r)
	runtime.ReadMemStats(&after)
	if want := "x.csv:3:3: the quote here is not closed within the 1,048,576 bytes that a row may have"; broken != want {
		t.Errorf("got %q, want %q", broken, want)
	}
	if len(rows) > 1 {
		t.Errorf("%d rows", len(rows))
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("allocated %d bytes", used)
	}
	if left := tail.Len(); left < 60<<20 {
		t.Errorf("read on, %d bytes are left", left)
	}
}

// TestLenientReader: a list of contacts may lack its header, and a single cell is a short row.
func TestLenientReader(t *testing.T) {
	data := []byte("ada@example.com,sms\n34600000002,\n34600000003\n")
	r, problems, err := newReader(bytes.NewReader(data), inspect(t, data), Options{File: "x.csv", Lenient: true}, blockSize)
	if err != nil || problems.Count > 0 {
		t.Fatal(problems, err)
	}
	rows, broken := all(t, r)
	if want := "2 [\"34600000002\" \"\"]\n3 fault 1/1 \"34600000003\"\n"; text(rows) != want || broken != "" {
		t.Errorf("got %s %s, want %s", text(rows), broken, want)
	}
}

// TestExamples reads the ready drops of the checkout.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../inbox/examples/*.csv")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no examples")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, problems := open(t, data, blockSize)
		if problems != "" {
			t.Fatal(f, problems)
		}
		switch rows, broken := all(t, r); {
		case len(rows) == 0:
			t.Error("len(rows) is 0")
		case broken != "":
			t.Errorf("broken = %q, want none", broken)
		case rows[0].Fault != FaultNone:
			t.Errorf("rows[0].Fault = %v, want %v", rows[0].Fault, FaultNone)
		}
	}
}
