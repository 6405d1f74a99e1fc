package filing

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/plan/spreadsheet/sheettest"
)

// number recognizes 34666777001 in a few spellings.
func number() *Forgetter {
	return &Forgetter{Digits: []byte("777001"), Texts: [][]byte{[]byte("34666777001")}, Same: func(cell []byte) bool {
		return strings.NewReplacer(" ", "", "+", "", "-", "").Replace(string(cell)) == "34666777001"
	}}
}

// TestForgottenCells: the contact's cells become x's in every spelling, and nothing else changes.
func TestForgottenCells(t *testing.T) {
	for in, want := range map[string]string{
		"34666777001,sms,Ada\n34666777002,sms,Eve\n":        "xxxxxxxxxxx,sms,Ada\n34666777002,sms,Eve\n",
		"\"+34 666-777-001\";sms\r\n":                       "\"xxxxxxxxxxxxxxx\";sms\r\n",
		"a\tcall 34666777001 now\t\n":                       "a\tcall xxxxxxxxxxx now\t\n",
		"346667770013,1234666777001,34666777001":            "346667770013,1234666777001,xxxxxxxxxxx",
		"https://x/?tel=34666777001&b=1\n":                  "https://x/?tel=xxxxxxxxxxx&b=1\n",
		strings.Repeat("y", 200_000) + ",34666777001\n":     strings.Repeat("y", 200_000) + ",xxxxxxxxxxx\n",
		"nothing of it\n":                                   "nothing of it\n",
		"{\n \"contactCode\": \"34666777001\",\n \"a\": 1}": "{\n \"contactCode\": \"xxxxxxxxxxx\",\n \"a\": 1}",
	} {
		var out bytes.Buffer
		has, err := number().copy(&out, bufio.NewReaderSize(strings.NewReader(in), 64<<10))
		if err != nil || out.String() != want {
			t.Errorf("%.60q becomes %.60q, want %.60q, %v", in, out.String(), want, err)
		}
		if has != (in != want) {
			t.Errorf("%.60q: found %t", in, has)
		}
	}
}

// TestForgottenFiles: archives and spreadsheets are removed from the folders of the sendings that had the
// contact, files without it stay untouched, and links are not followed.
func TestForgottenFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list, other, archive := put("a.csv", "34666777001\n"), put("b.csv", "34666777002\n"), put("c.xlsx", "PK\x03\x04")
	before, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]bool{"a.csv": true, "b.csv": false, "c.xlsx": true} {
		if changed, err := number().file(root, dir, name, true); changed != want || err != nil {
			t.Errorf("%s changed %t, want %t, %v", name, changed, want, err)
		}
	}
	if text, err := os.ReadFile(list); string(text) != "xxxxxxxxxxx\n" || err != nil {
		t.Errorf("list %q, %v", text, err)
	}
	switch after, err := os.Stat(other); {
	case err != nil:
		t.Errorf("a file without the contact was replaced: %v", err)
	case !os.SameFile(before, after):
		t.Error("a file without the contact was replaced: os.SameFile(before, after) = false, want true")
	}
	if _, err := os.Stat(archive); !os.IsNotExist(err) {
		t.Errorf("the archive is still there: %v", err)
	}
}

// TestPackedFileKeepsTheContact: the store doesn't know every archive that has the contact.
func TestPackedFileKeepsTheContact(t *testing.T) {
	gz := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write([]byte(text))
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	has := gz(strings.Repeat("34666777002\n", 20_000) + "+34 666-777-001\n")
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"a.csv.gz":   {has, true},
		"b.csv.gz":   {gz("34666777002\n"), false},
		"c.csv.gz":   {has[:len(has)-8], true}, // cut off
		"d.xlsx":     {sheettest.Simple([]string{"phone"}, []string{"+34 666 777 001"}), true},
		"e.xlsx":     {sheettest.Simple([]string{"phone"}, []string{"34666777002"}), false},
		"broken.zip": {[]byte("PK\x03\x04"), false},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), c.data, 0o640); err != nil {
			t.Fatal(err)
		}
		if changed, err := number().file(root, dir, name, false); changed != c.want || err != nil {
			t.Errorf("%s changed %t, want %t, %v", name, changed, c.want, err)
		}
		if _, err := os.Stat(filepath.Join(dir, name)); os.IsNotExist(err) != c.want {
			t.Errorf("%s removed %t, want %t", name, os.IsNotExist(err), c.want)
		}
	}
}
