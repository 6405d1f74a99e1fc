// Package document reads campaignd's three JSON documents: the layout and the
// sidecar of a drop, and a campaign file (docs/contract.md 3, 5, 6).
//
// It is pure: bytes in, values and problems out; it reads no file and no clock.
// It is strict: an unknown, repeated or wrongly cased key, a wrong type, a null,
// text that is not UTF-8 or anything after the end is a problem with its line,
// its column, the fault and its correction. All problems of a document are found
// at once; only broken JSON ends reading at the break. Input is hostile: size,
// depth, time and memory are bounded.
package document

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"campaignd/internal/display"
	"campaignd/internal/source"
)

// MaxSize is the most bytes a document may have (docs/contract.md 4, limits).
const MaxSize = 1 << 20

// ErrTooLarge is returned when a document has more than MaxSize bytes.
var ErrTooLarge = fmt.Errorf("has more than the %s (1 MiB) that a JSON file may have", display.Amount(MaxSize, "byte"))

// Read reads a document completely. It reads no more than MaxSize+1 bytes.
func Read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	return data, nil
}

// mostly reports whether data is an object that has mostly keys of this kind and none of another kind.
func mostly(data []byte, kind, another []string) bool {
	root, ok := parse(&findingList{}, data, "", "")
	if !ok {
		return false
	}
	n := 0
	for _, m := range root.members {
		switch {
		case slices.Contains(another, m.name):
			return false
		case slices.Contains(kind, m.name):
			n++
		}
	}
	return 2*n > len(root.members)
}

// position is a position in a file, from 1; zero for an absent value.
type position struct{ line, column int }

// findingList collects the problems of one document.
type findingList struct{ source.Findings }

// add adds a finding about a value.
func (f *findingList) add(offset int, field, format string, args ...any) {
	f.Add("value-wrong", offset, field, format, args...)
}

// Limits on outside text in a message.
const (
	maxListed = 20
	maxQuoted = 60
)

// quote quotes outside text for a message.
func quote(s string) string {
	for i, n := 0, 0; i < len(s); n++ {
		if n == maxQuoted {
			return fmt.Sprintf("%q…", s[:i])
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return fmt.Sprintf("%q", s)
}

// list lists names for a message.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, name := range names[:min(len(names), maxListed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name))
	}
	if more := len(names) - maxListed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// didYouMean returns a suffix for a message that suggests the nearest of known; "" if none is near.
func didYouMean(name string, known []string) string {
	if near := source.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", quote(near))
	}
	return ""
}
