package csvfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzReader holds the Reader, with batches of any size, to the model.
func FuzzReader(f *testing.F) {
	for _, body := range []string{
		"1,2,3\n4,5,6\n", "1,\"2\n2\",3\r\n", "1,2\n", "1,2", "1,\"a\"\"b\",3\n", "1,a\"b,3\n1,2,3\n", "1,a\"b,\"x\ny\"\n", "1, \"2\",3\n",
		"1,\"2\" ,3\n", "\n\n1,2,3\n\n", "1,2,\"3", "1,2,3\r", "1,2,\r3\n", "\"\",\"\"\"\",\"\"\n", "1;2;3\n", "=\"1\",2,=\"3\"", "=\"\",=\"2,=\"3\"4\n",
	} {
		f.Add(body, byte(0), byte(1), byte(7))
		f.Add(strings.ReplaceAll(body, "\n", "\r"), byte(4), byte(0), byte(3))
	}
	f.Fuzz(func(t *testing.T, body string, dialect, columns, block byte) {
		if len(body) > 1<<12 || strings.ContainsRune(body, 0) {
			return
		}
		body = strings.ToValidUTF8(body, "?")
		comma := candidates[dialect%4]
		end := []string{"\n", "\r\n", "\r"}[dialect/4%3]
		names := []string{"alpha", "beta", "gamma"}[:columns%3+1]
		header := strings.Join(names, string(rune(comma))) + end
		if end == "\r" && (strings.HasPrefix(body, "\n") || strings.HasPrefix(body, "\r\n")) {
			return // the header ends with CRLF or CR CR LF
		}
		const maxRecord = 100
		data := []byte(header + body)
		r, problems, err := newReader(bytes.NewReader(data), Info{Encoding: UTF8}, Options{Wanted: names, MaxRecord: maxRecord}, int(block)+1)
		if err != nil || problems.Count > 0 {
			t.Fatal(problems, err)
		}
		if len(names) == 1 {
			comma = ',' // any would do
		}
		want, wantBroken := model(body, comma, end[len(end)-1], len(names), maxRecord, 2)
		got, broken := all(t, r)
		if wantBroken != (broken != "") {
			t.Fatalf("broken %q, want %v", broken, wantBroken)
		}
		if len(got) > len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		// What a batch held before its refused record is not handed out.
		if broken != "" {
			want = want[:len(got)]
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}

// FuzzSplitAgainstEncodingCSV holds the cells to those of encoding/csv wherever
// both take the whole text.
func FuzzSplitAgainstEncodingCSV(f *testing.F) {
	for _, body := range []string{"1,2\n\"3\",\"4\"\n", "\"a\r\nb\",\"c\"\"d\"\n", "\n\n1,2\r\n", "1,\"\"\n", "é,ü\n", "\"\",\"\"\n", "\x1a", "\"\"", "\"\r\",\n", "\" \",\n", "\t", " \x1a,", "\x1a \x1a\n", "=\"1\",2\n"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "\r\r") {
			return // encoding/csv doesn't know CR CR LF; FuzzReader holds it to its model
		}
		text := "alpha,beta\n" + strings.ToValidUTF8(body, "?")
		r, _, err := newReader(strings.NewReader(text), Info{Encoding: UTF8}, Options{Wanted: []string{"alpha", "beta"}}, 16)
		switch {
		case err != nil:
			t.Fatal(err)
		case r == nil:
			t.Fatal("r is nil")
		}
		got, broken := all(t, r)
		if broken != "" {
			return
		}
		theirs := csv.NewReader(strings.NewReader(text))
		theirs.FieldsPerRecord = -1
		theirs.Read()
		for i := 0; ; i++ {
			cells, err := theirs.Read()
			if err == io.EOF {
				if i != len(got) {
					t.Fatalf("%d records, want %d", len(got), i)
				}
				return
			}
			switch text := strings.Join(cells, ""); {
			case err != nil || strings.Trim(text, " \t\r\n\x1a") != "":
			case strings.Contains(text, "\x1a"):
				return // FuzzReader holds the marks of DOS to its model
			default:
				i--
				continue
			}
			if i >= len(got) {
				t.Fatalf("no record for %q", cells)
			}
			if got[i].Fault == FaultQuote {
				return // where encoding/csv stops
			}
			if errors.Is(err, csv.ErrBareQuote) && strings.Contains(got[i].Raw, `="`) {
				return // a cell ="text", which FuzzReader holds to its model
			}
			if err != nil {
				t.Fatalf("record %d: %v, we took it for %q", i, err, got[i].Cells)
			}
			if line, _ := theirs.FieldPos(0); uint32(line) != got[i].Line {
				t.Errorf("line %d, want %d", got[i].Line, line)
			}
			switch got[i].Fault {
			case FaultNone:
			case FaultNextTo, FaultHeader:
				continue
			default:
				if len(cells) == 2 {
					t.Errorf("got fault %d, want none: %q has as many cells as the header", got[i].Fault, cells)
				}
				if got[i].Detail != len(cells) {
					t.Errorf("fault %d: got %d cells, want those of %q", got[i].Fault, got[i].Detail, cells)
				}
				continue
			}
			for c := range cells {
				// encoding/csv makes LF of CRLF within quotes, once a line: CR CR LF
				// becomes CR LF there. FuzzReader holds every CR to its model.
				if ours := strings.ReplaceAll(got[i].Cells[c], "\r", ""); ours != strings.ReplaceAll(cells[c], "\r", "") {
					t.Errorf("record %d: %q, want %q", i, got[i].Cells, cells)
				}
			}
		}
	})
}

// FuzzFile feeds any bytes through the whole room.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"sep=;\na;b\n1;2\n", "\"sep=,\"\r\na,b\r\n1,2\r\n", "a\r1\r", bomUTF8 + "\"a\",b\n", "\xff\xfea\x00\n\x001\x00", "a|b\tc\n", "a,a\n", ",\n", "n\nJos\xe9\n", "sep=", "\"\n", "\"sep=,\r", "sep=;\r\n", "\r", "\r\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info := inspect(t, data)
		if p := info.Problems("x.csv"); p.Count > 0 {
			return
		}
		r, problems, err := newReader(bytes.NewReader(data), info, Options{Wanted: []string{"a"}, MaxColumns: 20}, 16)
		if err != nil {
			t.Fatal(err)
		}
		if problems.Count > 0 {
			return
		}
		rows, _ := all(t, r)
		if int64(len(rows)) > info.RowBound() {
			t.Errorf("%d rows, bound %d", len(rows), info.RowBound())
		}
		last := uint32(0)
		for _, one := range rows {
			if one.Line <= last {
				t.Errorf("line %d behind line %d", one.Line, last)
			}
			last = one.Line
		}
	})
}
