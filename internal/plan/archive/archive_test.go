package archive

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
)

// pack returns a gzip file.
func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entry is a file of a zip.
type entry struct {
	name, text string
	mode       fs.FileMode
	flags      uint16
}

// zipped returns a zip.
func zipped(t *testing.T, files ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(0o644 | f.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	for _, f := range files { // archive/zip encrypts nothing
		if f.flags != 0 {
			for _, header := range []struct {
				magic string
				at    int
			}{{"PK\x03\x04", 6}, {"PK\x01\x02", 8}} {
				data[bytes.Index(data, []byte(header.magic))+header.at] |= byte(f.flags)
			}
		}
	}
	return data
}

// wantRefusal fails unless err is a refusal with that code, "" for none.
func wantRefusal(t *testing.T, err error, code, says string) {
	t.Helper()
	refused, ok := errors.AsType[*Refused](err)
	switch {
	case code == "" && err == nil:
	case !ok:
		t.Errorf("got %v, want a refusal with %q", err, code)
	case refused.Problem.Code != code:
		t.Errorf("got %q (%s), want the code %s", refused, refused.Problem.Code, code)
	case !strings.Contains(refused.Error(), says):
		t.Errorf("got %q, want %q in it", refused, says)
	}
}

func TestGunzip(t *testing.T) {
	good := pack(t, []byte("phone\n34666777003\n"))
	for name, c := range map[string]struct {
		data       []byte
		most       int64
		code, says string
		cutOff     bool
	}{
		"good":                {data: good, most: 100},
		"two members":         {data: append(bytes.Clone(good), pack(t, []byte("34666777004\n"))...), most: 100},
		"exactly the limit":   {data: good, most: 18},
		"one byte too many":   {data: good, most: 17, code: "archive-large", says: "unpacks to more than 17 bytes, which is what max_file_size allows"},
		"a bomb":              {data: pack(t, make([]byte, 40<<20)), most: 1 << 40, code: "archive-bomb", says: "is a bomb: it unpacks to more than 200 times its size"},
		"cut off":             {data: good[:len(good)-4], most: 100, code: "archive-cut-off", says: "the upload may have been cut off", cutOff: true},
		"cut off in its head": {data: good[:5], most: 100, code: "archive-cut-off", says: "ends within its first bytes", cutOff: true},
		"empty":               {most: 100, code: "archive-cut-off", says: "ends within its first bytes", cutOff: true},
		"damaged":             {data: damaged(good, len(good)-6), most: 100, code: "archive-broken", says: "the gzip file is damaged"},
		"a CSV":               {data: []byte("phone,name\n1,2\n"), most: 100, code: "archive-other", says: "is not a gzip file"},
		"something after it":  {data: append(bytes.Clone(good), "more than ten bytes"...), most: 100, code: "archive-broken", says: "something follows after the end"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Gunzip(t.Context(), "a.csv.gz", bytes.NewReader(c.data), io.Discard, NewBudget("a.csv.gz", int64(len(c.data)), c.most, "max_file_size"))
			wantRefusal(t, err, c.code, c.says)
			if refused, ok := errors.AsType[*Refused](err); ok && refused.CutOff != c.cutOff {
				t.Errorf("cut off: %v, want %v", refused.CutOff, c.cutOff)
			}
		})
	}
}

func damaged(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0xff
	return data
}

func TestZipHoldsOneDrop(t *testing.T) {
	csv := entry{name: "list.csv", text: "phone\n"}
	for name, c := range map[string]struct {
		files      []entry
		code, says string
	}{
		"CSV alone":               {files: []entry{csv}},
		"everything":              {files: []entry{csv, {name: "layout.json", text: "{}"}, {name: "Spring.SCHEDULE.JSON", text: "{}"}}},
		"a spreadsheet":           {files: []entry{{name: "list.XLSX"}}},
		"what a Mac adds":         {files: []entry{csv, {name: "__MACOSX/._list.csv"}, {name: ".DS_Store"}, {name: "__MACOSX/"}}},
		"nothing":                 {code: "archive-content", says: "has no CSV and no .xlsx"},
		"only a layout":           {files: []entry{{name: "layout.json"}}, code: "archive-content", says: "has no CSV and no .xlsx"},
		"a list of opt-outs":      {files: []entry{{name: "x.suppress.csv"}}, code: "archive-content", says: "upload that as NAME.suppress.csv, not packed"},
		"two CSVs":                {files: []entry{csv, {name: "b.csv"}}, code: "archive-content", says: `has several CSVs or spreadsheets ("list.csv" and "b.csv")`},
		"a CSV and its workbook":  {files: []entry{csv, {name: "list.xlsx"}}, code: "archive-content", says: "has several CSVs or spreadsheets"},
		"one name twice":          {files: []entry{csv, csv}, code: "archive-content", says: "has several"},
		"two layouts":             {files: []entry{csv, {name: "a.layout.json"}, {name: "layout.json"}}, code: "archive-content", says: "has several layouts"},
		"something else":          {files: []entry{csv, {name: "readme.txt"}}, code: "archive-content", says: `has "readme.txt", which is no CSV`},
		"a folder":                {files: []entry{{name: "spring/"}, {name: "spring/list.csv"}}, code: "archive-folder", says: `has "spring/", which is or is in a folder`},
		"a Windows folder":        {files: []entry{{name: `spring\list.csv`}}, code: "archive-folder", says: "folder"},
		"a way out":               {files: []entry{{name: "../list.csv"}}, code: "archive-path", says: `has "../list.csv", a name that leads out of the archive`},
		"a way out in the middle": {files: []entry{{name: "a/../../list.csv"}}, code: "archive-path", says: "leads out"},
		"a Windows way out":       {files: []entry{{name: `..\list.csv`}}, code: "archive-path", says: "leads out"},
		"an absolute name":        {files: []entry{{name: "/etc/list.csv"}}, code: "archive-path", says: "leads out"},
		"a drive":                 {files: []entry{{name: "C:list.csv"}}, code: "archive-path", says: "leads out"},
		"a link":                  {files: []entry{{name: "list.csv", text: "/etc/passwd", mode: fs.ModeSymlink}}, code: "archive-link", says: `has "list.csv", which is a link`},
		"encrypted":               {files: []entry{{name: "list.csv", text: "x", flags: 1}}, code: "archive-encrypted", says: "is encrypted"},
		"an archive in it":        {files: []entry{csv, {name: "more.zip"}}, code: "archive-nested", says: `has "more.zip", an archive in the archive`},
		"a packed CSV in it":      {files: []entry{{name: "list.csv.gz"}}, code: "archive-nested", says: "an archive in the archive"},
	} {
		t.Run(name, func(t *testing.T) {
			data := zipped(t, c.files...)
			z, err := ReadZip("a.zip", bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			d, err := ReadDrop("a.zip", z)
			wantRefusal(t, err, c.code, c.says)
			if (d.CSV != nil) != (c.code == "") {
				t.Errorf("the CSV is %v", d.CSV)
			}
		})
	}
}

func TestZipsAreRefused(t *testing.T) {
	good := zipped(t, entry{name: "list.csv", text: strings.Repeat("phone\n", 100)})
	var many []entry
	for range 30_000 {
		many = append(many, entry{name: strings.Repeat("a", 40)})
	}
	for name, c := range map[string]struct {
		data       []byte
		code, says string
	}{
		"cut off":            {good[:len(good)-30], "archive-cut-off", "has no directory at its end"},
		"a few bytes":        {good[:3], "archive-cut-off", "the file has 3 bytes"},
		"too many files":     {zipped(t, many...), "archive-bomb", "has a directory of more than"},
		"a CSV":              {[]byte("phone,name\n1,2\n"), "archive-other", "is neither a zip archive"},
		"an office document": {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 more"), "archive-other", "old format"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadZip("a.zip", bytes.NewReader(c.data), int64(len(c.data)))
			wantRefusal(t, err, c.code, c.says)
		})
	}
}

func TestCopyChecksWhatItUnpacks(t *testing.T) {
	data := zipped(t, entry{name: "list.csv", text: strings.Repeat("phone\n", 100)})
	for name, c := range map[string]struct {
		damage int // offset from the end of the packed text; 0: none
		most   int64
		code   string
	}{"good": {most: 1000}, "damaged": {damage: 3, most: 1000, code: "archive-broken"}, "large": {most: 599, code: "archive-large"}} {
		t.Run(name, func(t *testing.T) {
			data := bytes.Clone(data)
			if c.damage > 0 {
				data[bytes.Index(data, []byte("PK\x07\x08"))-c.damage] ^= 0x55
			}
			z, err := ReadZip("a.zip", bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			err = Copy(t.Context(), "a.zip/list.csv", z.File[0], &b, NewBudget("a.zip", int64(len(data)), c.most, "max_file_size"))
			wantRefusal(t, err, c.code, "")
		})
	}
}

// Nothing in an archive makes unpacking fail in another way than by a refusal.
func FuzzArchives(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	t := &testing.T{}
	f.Add(pack(t, []byte("phone\n1\n")))
	f.Add(zipped(t, entry{name: "list.csv", text: "phone\n"}, entry{name: "layout.json", text: "{}"}))
	f.Add(zipped(t, entry{name: "../a.csv", text: "phone\n"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(err error) {
			if err == nil {
				return
			}
			refused, ok := errors.AsType[*Refused](err)
			if !ok {
				t.Fatalf("got %T %v, want a refusal", err, err)
			}
			if refused.Problem.Code == "" {
				t.Errorf("refusal without code: %v", err)
			}
			if refused.Problem.Message == "" {
				t.Errorf("refusal without message: %+v", refused.Problem)
			}
		}
		budget := func() *Budget { return NewBudget("f", int64(len(data)), 1<<20, "max_file_size") }
		check(Gunzip(t.Context(), "f", bytes.NewReader(data), io.Discard, budget()))
		z, err := ReadZip("f", bytes.NewReader(data), int64(len(data)))
		check(err)
		if err != nil {
			return
		}
		d, err := ReadDrop("f", z)
		check(err)
		if err == nil {
			var b bytes.Buffer
			check(Copy(t.Context(), "f", d.CSV, &b, budget()))
			if b.Len() > 1<<20 {
				t.Fatalf("unpacked %d bytes", b.Len())
			}
		}
	})
}
