package csvfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestInspectSaysWhatTheBytesAre(t *testing.T) {
	long := strings.Repeat("x", inspectBlock-1)
	for _, c := range []struct {
		name, data       string
		encoding         string
		lines            int64
		unterminated     bool
		nul, undecodable int64
		problem          string
	}{
		{"empty", "", UTF8, 0, false, -1, -1, "x.csv: the file is empty"},
		{"lf", "a,b\n1,2\n", UTF8, 2, false, -1, -1, ""},
		{"crlf", "a,b\r\n1,2\r\n", UTF8, 2, false, -1, -1, ""},
		{"cr", "a,b\r1,2\r", UTF8, 2, false, -1, -1, ""},
		{"mixed", "a\rb\nc\r\n", UTF8, 3, false, -1, -1, ""},
		{"lf and crlf", "a\nc\r\n", UTF8, 2, false, -1, -1, ""},
		{"no end", "a,b\n1,2", UTF8, 2, true, -1, -1, ""},
		{"one line", "a,b", UTF8, 1, true, -1, -1, ""},
		{"cut within crlf", "a\r\n1\r", UTF8, 2, true, -1, -1, ""},
		{"crlf over two blocks", long + "\r\nb\r\n", UTF8, 2, false, -1, -1, ""},
		{"letter over two blocks", long + "é\n", UTF8, 1, false, -1, -1, ""},
		{"letter of four bytes over two blocks", long[2:] + "\U0001F600\n", UTF8, 1, false, -1, -1, ""},
		{"bom", bomUTF8 + "é\n", UTF8, 1, false, -1, -1, ""},
		{"windows-1252", "n\nJos\xe9\n", Windows1252, 2, false, -1, -1, ""},
		{"windows-1252 at the end of a block", long + "\xe9\n", Windows1252, 1, false, -1, -1, ""},
		{"windows-1252 at the end of the file", "n\nJos\xe9", Windows1252, 2, true, -1, -1, ""},
		{"undefined in windows-1252", "n\nJos\xe9\n\x81\n", Windows1252, 3, false, -1, 5,
			"x.csv:3: the encoding is unknown: the file is not UTF-8, and as Windows-1252 it has \"\ufffd\" here, which no text has (byte 6 of the file)"},
		{"mostly utf-8", "n\nJosé\nJos\xe9\n", UTF8, 3, false, -1, 11, "x.csv:3: most of the file is UTF-8, but the bytes here are not"},
		{"utf-8 cut within a letter", "n\nJosé\nJos\xc3", UTF8, 3, true, -1, 11, "x.csv:3: the file ends within a letter, as UTF-8 writes it: it is incomplete (byte 12 of the file); upload the whole file"},
		{"ascii cut within a letter", "n\nJose\nJos\xc3", UTF8, 3, true, -1, 10, "upload the whole file; if it is Windows-1252, end its last line"},
		{"ascii cut within a letter at the end of a block", long + "\xc3", UTF8, 1, true, -1, int64(len(long)), "the file ends within a letter"},
		{"ascii and a capital of windows-1252 at the end", "n\nJOS\xc9", Windows1252, 2, true, -1, -1, ""},
		{"ascii cut within an emoji", "n\nJose \xf0\x9f\x98", UTF8, 2, true, -1, 7, "the file ends within a letter"},
		{"ascii and a quote of windows-1252 at the end", "n\nvoil\xe0\xbb", Windows1252, 2, true, -1, -1, ""},
		{"cyrillic with a pair that is utf-8 by chance", "n\n\xc8\xe2\xe0\xed\n\xcc\xe0\xf0\xe8\xff\n\xcf\xb8\xf2\xf0\n", Windows1252, 4, false, -1, 2, "x.csv:4: the encoding is unknown"},
		{"kanji with a pair that is utf-8 by chance", "n\n\xe7\x94\xb0\x92\x86\n\x97\xe9\x96\xd8\x88\xea\x98Y\n", Windows1252, 3, false, -1, 5, "x.csv:3: the encoding is unknown"},
		{"more of one encoding than of the other", "n\nJosé\nJos\xe9\nRen\xe9\n", UTF8, 4, false, -1, 11, "x.csv:3: the bytes here are not UTF-8, but other letters of the file may be"},
		{"bom but not utf-8", bomUTF8 + "n\r\nJos\xe9\r\n", UTF8, 2, false, -1, 9, "x.csv:2: its byte order mark says UTF-8"},
		{"nul", "a\nb\n\x00cdefghijk\n", UTF8, 3, false, 4, -1, "x.csv:3: NUL at byte 5 (1 in all)"},
		{"utf-16 without mark", "a\x00,\x00b\x00\n\x00", UTF8, 2, true, 1, -1, "UTF-16 text without a byte order mark"},
		{"cr cr lf", "a,b\r\r\n1,2\r\r\n", UTF8, 2, false, -1, -1, ""},
		{"cr cr lf over two blocks", long + "\r\r\nb\r\r\n", UTF8, 2, false, -1, -1, ""},
		{"cr cr lf over two blocks, later", long[1:] + "\r\r\nb\r\r\n", UTF8, 2, false, -1, -1, ""},
		{"end-of-file mark of DOS", "a,b\r\n1,2\r\n\x1a", UTF8, 2, false, -1, -1, ""},
		{"blanks at the end", "a,b\n1,2\n  \t", UTF8, 2, false, -1, -1, ""},
		{"utf-16", "\xff\xfea\x00\r\x00\n\x00b\x00", UTF16LE, 2, true, -1, -1, ""},
		{"utf-16 big", "\xfe\xff\x00a\x00\n\x00\x00\x00\n", UTF16BE, 2, false, 6, -1, "x.csv:2: NUL at byte 7"},
		{"utf-16 of an odd length", "\xff\xfea\x00\n\x00b", UTF16LE, 1, false, -1, 6, "x.csv:2: UTF-16 has two bytes a character"},
		{"utf-16 with half a pair", "\xff\xfe\x3d\xd8a\x00\n\x00", UTF16LE, 1, false, -1, 4, "half of a UTF-16 pair"},
		{"utf-16 that ends in half a pair", "\xff\xfea\x00\x3d\xd8", UTF16LE, 1, true, -1, 4, "half of a UTF-16 pair"},
		{"utf-16 mark alone", "\xff\xfe", UTF16LE, 0, false, -1, -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := inspect(t, []byte(c.data))
			sum := sha256.Sum256([]byte(c.data))
			switch {
			case info.Bytes != int64(len(c.data)):
				t.Errorf("info.Bytes = %v, want %v", info.Bytes, int64(len(c.data)))
			case info.SHA256 != hex.EncodeToString(sum[:]):
				t.Errorf("info.SHA256 = %q, want %q", info.SHA256, hex.EncodeToString(sum[:]))
			}
			switch {
			case info.Encoding != c.encoding:
				t.Errorf("info.Encoding: got %v, want %v", info.Encoding, c.encoding)
			case info.Lines != c.lines:
				t.Errorf("info.Lines: got %v, want %v", info.Lines, c.lines)
			case info.Unterminated != c.unterminated:
				t.Errorf("info.Unterminated: got %v, want %v", info.Unterminated, c.unterminated)
			}
			if info.NUL != c.nul {
				t.Errorf("info.NUL = %v, want %v", info.NUL, c.nul)
			}
			if info.Undecodable != c.undecodable {
				t.Errorf("info.Undecodable = %v, want %v", info.Undecodable, c.undecodable)
			}
			var got string
			if p := info.Problems("x.csv"); p.Count > 0 {
				got = p.List[0].String()
			}
			if !strings.Contains(got, c.problem) || (c.problem == "") != (got == "") {
				t.Errorf("got problem %q, want %q", got, c.problem)
			}
		})
	}
}

// A file that its sidecar proves complete wasn't cut: what it ends with is a letter, or a mistake in the file.
func TestAWholeFileIsCalledCut(t *testing.T) {
	for data, want := range map[string]string{
		"n\nJose\nJos\xc3":       "",
		"n\nJose \xf0\x9f\x98":   "encoding-unknown",
		"n\nJosé\nJos\xc3":       "encoding-mixed",
		"\xff\xfea\x00\n\x00b":   "encoding-broken",
		"n\nJose\n":              "",
		bomUTF8 + "n\nJos\xc3":   "encoding-mixed",
		"n\nJosé\n\xc3\nJos\xc3": "encoding-mixed",
	} {
		info := inspect(t, []byte(data)).Whole()
		got := ""
		if p := info.Problems("x.csv"); p.Count > 0 {
			got = p.List[0].Code
		}
		if got != want {
			t.Errorf("%q: got the code %q, want %q", data, got, want)
		}
	}
}

func TestWindows1252IsReported(t *testing.T) {
	for data, want := range map[string]bool{"n\nJos\xe9\n": true, "n\nJos\xe9 É\u00a0\n": false, "n\nJosé\n": false, "n\nJose\n": false} {
		if info := inspect(t, []byte(data)); info.Assumed != want {
			t.Errorf("%q: %v", data, info.Assumed)
		}
	}
	// A pair that looks like UTF-8 by chance, among many that don't.
	french := strings.Repeat("d\xe9j\xe0\n", 20) + "CAF\xc9\xa0!\n"
	switch info := inspect(t, []byte(french)); {
	case !info.Assumed:
		t.Error("info.Assumed = false, want true")
	case info.Undecodable >= 0:
		t.Errorf("info.Undecodable = %v, want less than 0", info.Undecodable)
	}
}

func TestInspectWarns(t *testing.T) {
	for data, want := range map[string]string{
		"n\nJos\xe9\n": "read as Windows-1252",
		"n\nJose":      "x.csv:2: the last line has no line end",
		"n\nJose\n":    "",
	} {
		info := inspect(t, []byte(data))
		var got string
		for _, w := range info.Warnings("x.csv", false) {
			got += w.String()
		}
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: got %q, want %q", data, got, want)
		}
	}
}

// TestNULBytesAreReported: preallocated files and power cuts leave NUL bytes.
func TestNULBytesAreReported(t *testing.T) {
	info := inspect(t, append([]byte("contactCode\n34666777888\n"), make([]byte, 4)...))
	if info.NUL != 24 {
		t.Errorf("info.NUL = %v, want 24", info.NUL)
	}
	if info.NULs != 4 {
		t.Errorf("info.NULs = %v, want 4", info.NULs)
	}
}

func TestInspectStops(t *testing.T) {
	endless := iotest.DataErrReader(io.LimitReader(zeros{}, 1<<40))
	info, err := Inspect(context.Background(), endless, 1000, nil)
	if err != nil || info.Bytes != 1001 {
		t.Errorf("read %d bytes of a file that grows, %v", info.Bytes, err)
	}
	broken := errors.New("disk gone")
	if _, err := Inspect(context.Background(), io.MultiReader(strings.NewReader("a"), iotest.ErrReader(broken)), 10, nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var seen []int64
	_, err = Inspect(ctx, io.LimitReader(zeros{}, 1<<40), 1<<40, func(read int64) {
		seen = append(seen, read)
		if len(seen) == 2 {
			cancel()
		}
	})
	switch {
	case !errors.Is(err, context.Canceled):
		t.Errorf("got the error %v, want %v", err, context.Canceled)
	case len(seen) != 2:
		t.Errorf("len(seen) = %v, want 2: %+v", len(seen), seen)
	case seen[1] != 2*inspectBlock:
		t.Errorf("seen[1] = %v, want 524288", seen[1])
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// FuzzInspect holds Inspect, in blocks of any size, to what the whole text says.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{"a,b\r\n1,2\r", "José\n\xe9\x00", bomUTF8 + "\xc3", "\xff\xfea\x00\n\x00\x3d\xd8", "\xfe\xff\x00\r\x00\n", "\xe2\x82\xac\xe2\x82", "\r\r\n\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, pad int) {
		if pad = pad % 8; pad > 0 { // moves the text across the end of a block
			data = append(bytes.Repeat([]byte{'x'}, inspectBlock-pad), data...)
		}
		info := inspect(t, data)
		if info.Encoding == UTF16LE || info.Encoding == UTF16BE {
			if want := len(data)%2 == 0; !want && info.Undecodable < 0 {
				t.Errorf("an odd length passed")
			}
			return
		}
		if info.NUL != int64(bytes.IndexByte(data, 0)) {
			t.Errorf("NUL: info.NUL = %v, want %v", info.NUL, int64(bytes.IndexByte(data, 0)))
		}
		if info.NULs != int64(bytes.Count(data, []byte{0})) {
			t.Errorf("NUL: info.NULs = %v, want %v", info.NULs, int64(bytes.Count(data, []byte{0})))
		}
		if valid := utf8.Valid(data); valid != (info.Encoding == UTF8 && info.Undecodable < 0) {
			t.Errorf("valid %v, but %s, undecodable %d", valid, info.Encoding, info.Undecodable)
		}
		if info.Encoding == UTF8 && info.Undecodable >= 0 {
			at := info.Undecodable
			if !utf8.Valid(data[:at]) {
				t.Errorf("got the first wrong byte at %d, want it earlier", at)
			}
			if end := int(at) + utf8.UTFMax; end < len(data) && utf8.Valid(data[:end]) {
				t.Errorf("got the first wrong byte at %d, want it later", at)
			}
		}
		breaks := lineOf(data) - 1
		if want := int64(breaks); info.Lines != want && !(info.Unterminated && info.Lines == want+1) {
			t.Errorf("got %d lines, want %d, or one more if unterminated (%v)", info.Lines, want, info.Unterminated)
		}
		if info.NUL >= 0 && info.nulLine != int64(lineOf(data[:info.NUL])) {
			t.Errorf("NUL on line %d, want %d", info.nulLine, lineOf(data[:info.NUL]))
		}
	})
}

func lineOf(before []byte) int {
	before = bytes.ReplaceAll(before, []byte("\r\r\n"), []byte("\n"))
	before = bytes.ReplaceAll(before, []byte("\r\n"), []byte("\n"))
	return bytes.Count(before, []byte("\n")) + bytes.Count(before, []byte("\r")) + 1
}
