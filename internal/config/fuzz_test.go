package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
)

// FuzzParse: no input makes Parse fail in another way than by problems, every
// problem has a place, and what is accepted can be shown and read back.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/broken/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, sample) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(minimal))
	f.Add([]byte(full))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, p := config.Parse("fuzz.toml", data, drivers.All())
		if (c == nil) != (p.Count > 0) {
			t.Fatalf("config %v with %d problems", c, p.Count)
		}
		for _, one := range p.List {
			if one.Line < 1 {
				t.Fatalf("problem without a place: one.Line = %v, want at least 1", one.Line)
			}
			if one.Column < 1 {
				t.Fatalf("problem without a place: one.Column = %v, want at least 1", one.Column)
			}
			if one.Message == "" {
				t.Fatal("problem without a place: one.Message is empty")
			}
		}
		if c == nil {
			return
		}
		var b bytes.Buffer
		if err := c.Show(&b); err != nil {
			t.Fatal(err)
		}
		again, p := config.Parse("shown.toml", b.Bytes(), drivers.All())
		if again == nil {
			t.Fatalf("what Show wrote is refused: %v\n%s", p.List, b.String())
		}
		if !bytes.Contains(b.Bytes(), []byte("*****")) && !bytes.Contains(b.Bytes(), []byte("%2A")) {
			if diff := cmp.Diff(c, again, sameAs()); diff != "" {
				t.Fatalf("(-parsed +shown and parsed):\n%s\n%s", diff, b.String())
			}
		}
	})
}
