package csvfile

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rejectAll is rejected.csv with all rows of data that refuse names.
func rejectAll(t testing.TB, data []byte, refuse func(r *Reader, b *Batch, i int) string, wanted ...string) (string, int) {
	t.Helper()
	r, problems := open(t, data, blockSize, wanted...)
	if problems != "" {
		t.Fatal(problems)
	}
	out := r.AppendRejectedHeader(nil)
	n := 0
	var b Batch
	for r.ReadBatch(&b) == nil {
		for i := range b.Len() {
			if reason := refuse(r, &b, i); reason != "" {
				out = r.AppendRejected(out, &b, i, reason)
				n++
			}
		}
	}
	return string(out), n
}

func faulty(_ *Reader, b *Batch, i int) string {
	if f, _ := b.Fault(i); f != FaultNone {
		return `it is "wrong"`
	}
	return ""
}

func always(*Reader, *Batch, int) string { return "no" }

func TestRejected(t *testing.T) {
	const why = `"it is ""wrong"""`
	for _, c := range []struct {
		name, data, want string
		refuse           func(*Reader, *Batch, int) string
	}{
		{"as they came", "a;b\n 1;\"x;\ny\"\n", "a;b;_line;_error\n 1;\"x;\ny\";2;\"no\"\n", always},
		{"CRLF", "a,b\r\n1,2\r\n", "a,b,_line,_error\r\n1,2,2,\"no\"\r\n", always},
		{"CR", "a,b\r1,2\r", "a,b,_line,_error\n1,2,2,\"no\"\n", always},
		{"too few", "a,b,c\n1\n", "a,b,c,_line,_error\n1,,,2," + why + ",\n", faulty},
		{"too many", "a,b\n1,2,3\n", "a,b,_line,_error\n1,2,2," + why + ",3\n", faulty},
		{"next to a single cell", "a,b\n1,2\nx\n3,4\n", "a,b,_line,_error\n1,2,2," + why + ",\nx,,3," + why + ",\n3,4,4," + why + ",\n", faulty},
		{"the header again", "a,b\n1,2\na,b\n", "a,b,_line,_error\na,b,3," + why + "\n", faulty},
		{"stray quote", "a,b\n1,x\"y\n", "a,b,_line,_error\n1,x\"y,2," + why + "\n", faulty},
		{"another delimiter", "a\n1;2\n", "a,_line,_error\n1;2,2," + why + ",\n", faulty},
		{"again", "a,b,_line,_error\n1,\"2,3\",7,\"before\"\n", "a,b,_line,_error\n1,\"2,3\",2,\"no\"\n", always},
		{"again with a column added", "a,_line,_error,b\n1,7,x,2\n", "a,b,_line,_error\n1,2,2,\"no\"\n", always},
		{"again with two cells too few", "a,b,_line,_error\n1,2\n", "a,b,_line,_error\n1,2,2," + why + ",\n", faulty},
		{"not plain UTF-8", bomUTF8 + "á,b\n1,2\n", bomUTF8 + "á,b,_line,_error\n1,2,2,\"no\"\n", always},
		{"names in quotes", "\"a,1\",b\n1,2\n", "\"a,1\",b,_line,_error\n1,2,2,\"no\"\n", always},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := rejectAll(t, []byte(c.data), c.refuse); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestRejectedStaysRejected: what a record's own bounds refuse is refused again when
// rejected.csv is dropped as it is, and what they don't has the same cells.
func TestRejectedStaysRejected(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		columns := rapid.SampledFrom([]string{"a", "a,b", "a,b,c", "a,_line,_error", "_error,b,a"}).Draw(rt, "columns")
		cell := rapid.SampledFrom([]string{"", "1", " x", `"q"`, `"q,""r"`, `s"t`, "u;v"})
		var data strings.Builder
		data.WriteString(columns + "\n")
		for range rapid.IntRange(1, 6).Draw(rt, "rows") {
			data.WriteString(strings.Join(rapid.SliceOfN(cell, 1, 6).Draw(rt, "cells"), ",") + "\n")
		}
		rejected, n := rejectAll(t, []byte(data.String()), faulty, "a")
		again, m := rejectAll(t, []byte(rejected), faulty, "a")
		if n != m {
			rt.Fatalf("%d records were refused, then %d:\n%s\n%s\n%s", n, m, data.String(), rejected, again)
		}
	})
}

func TestRejectedRowsHaveTheirCellsStill(t *testing.T) {
	data := []byte("a;b\n\"1\n1\";\"x;\"\"y\"\n 2;z\n")
	rejected, _ := rejectAll(t, data, always)
	r, problems := open(t, []byte(rejected), blockSize, "a", "b")
	if problems != "" {
		t.Fatal(problems)
	}
	rows, broken := all(t, r)
	if want := "2 [\"1\\n1\" \"x;\\\"y\" \"2\" \"no\"]\n4 [\" 2\" \"z\" \"4\" \"no\"]\n"; text(rows) != want || broken != "" {
		t.Errorf("got %s %s, want %s", text(rows), broken, want)
	}
	if bytes.Contains([]byte(rejected), []byte(bomUTF8)) {
		t.Error("a mark that the file had not")
	}
}
