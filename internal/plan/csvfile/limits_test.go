package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", MaxRecord-2)
	r, _ := open(t, []byte("a,b\n1,"+long+"\n2,3\n"), blockSize, "a")
	switch rows, broken := all(t, r); {
	case len(rows) != 2:
		t.Errorf("a record of 1 MiB: len(rows) = %v, want 2", len(rows))
	case broken != "":
		t.Errorf("a record of 1 MiB: broken = %q, want none", broken)
	}
	for _, row := range []string{"1,x" + long, "1,\"" + long + "\"", "1,x" + long + long} {
		for _, end := range []string{"\n", "\r\n", ""} {
			r, _ = open(t, []byte("a,b\n0,0\n"+row+end), blockSize, "a")
			_, broken := all(t, r)
			if want := "x.csv:3:1: the row that begins here has more than the 1,048,576 bytes"; !strings.HasPrefix(broken, want) {
				t.Errorf("got %q", broken)
			}
			if err := r.ReadBatch(new(Batch)); err == nil || err == io.EOF {
				t.Errorf("read on with %v", err)
			}
		}
	}
	names := make([]string, MaxColumns+1)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	if _, problems := open(t, []byte(strings.Join(names[1:], ",")+"\n"), blockSize); problems != "" {
		t.Error(problems)
	}
	if _, problems := open(t, []byte(strings.Join(names, ",")+"\n"), blockSize); !strings.Contains(problems, "more than the 1,000 columns") {
		t.Errorf("got %q", problems)
	}
	if _, problems := open(t, []byte(strings.Repeat(",", MaxRecord)+"\n"), blockSize); !strings.Contains(problems, "columns") {
		t.Errorf("got %q", problems)
	}
	for _, head := range []string{long + long, "\"" + long + long, strings.Repeat("a\"", MaxRecord)} {
		if _, problems := open(t, []byte(head), blockSize); problems == "" {
			t.Errorf("a header of 2 MiB passed")
		}
	}
}

func TestLimitBatch(t *testing.T) {
	r, _ := open(t, []byte("a\n1\n2\n3\n4\n5\n"), blockSize, "a")
	r.LimitBatch(2)
	r.LimitBatch(0)
	var b Batch
	var got []int
	for r.ReadBatch(&b) == nil {
		got = append(got, b.Len())
	}
	if d := cmp.Diff([]int{2, 2, 1}, got); d != "" {
		t.Error(d)
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	gone := errors.New("disk gone")
	_, _, err := NewReader(iotest.ErrReader(gone), Info{Encoding: UTF8}, Options{})
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	r, _, err := newReader(io.MultiReader(strings.NewReader("a\n1\n2\n"), iotest.ErrReader(gone)), Info{Encoding: UTF8}, Options{}, 4)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	for err = r.ReadBatch(&b); err == nil; err = r.ReadBatch(&b) {
	}
	if !errors.Is(err, gone) {
		t.Errorf("got the error %v, want %v", err, gone)
	}
	if b.Len() != 0 {
		t.Errorf("b.Len() = %v, want 0", b.Len())
	}
	r, _, err = newReader(io.MultiReader(strings.NewReader("a\n1\n2\n"), stuck{}), Info{Encoding: UTF8}, Options{}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for err = r.ReadBatch(&b); err == nil; err = r.ReadBatch(&b) {
	}
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestSlowSource(t *testing.T) {
	data := []byte("a,b\n1,\"2\n\"\n3,4\n")
	r, _, err := newReader(iotest.OneByteReader(bytes.NewReader(data)), inspect(t, data), Options{}, 6)
	if err != nil {
		t.Fatal(err)
	}
	switch rows, broken := all(t, r); {
	case len(rows) != 2:
		t.Errorf("len(rows) = %v, want 2", len(rows))
	case broken != "":
		t.Errorf("broken = %q, want none", broken)
	}
}
