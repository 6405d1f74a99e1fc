package campaign

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewID(t *testing.T) {
	zone := time.FixedZone("", 5*3600)
	for _, c := range []struct {
		at   time.Time
		n    uint64
		want ID
	}{
		{time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC), 1, "20260301-000001"},
		{time.Date(2026, 3, 1, 2, 0, 0, 0, zone), 42, "20260228-000042"}, // the date is UTC's
		{time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), 999999, "20261231-999999"},
		{time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), 1234567, "20261231-1234567"},
	} {
		got := NewID(c.at, c.n)
		if got != c.want {
			t.Errorf("NewID(%v, %d): got %s, want %s", c.at, c.n, got, c.want)
		}
		if got.Number() != c.n {
			t.Errorf("number of %s: got %d, want %d", got, got.Number(), c.n)
		}
		if !got.Valid() {
			t.Errorf("%s is invalid, want it valid", got)
		}
	}
}

func TestForeignIDsAreRefused(t *testing.T) {
	for _, id := range []ID{"", "-", "20260301", "20260301-", "20260301-1", "20260301-00001", "20260301-0000001", "20260301-000000",
		"20260301-+00001", "20260301-00000x", "20261301-000001", "20260230-000001", "2026031-000001", "20260301_000001",
		"20260301-000001 ", " 20260301-000001", "20260301-000001-1", "20260301-99999999999999999999", "../../etc-000001", "２０２６0301-000001"} {
		if id.Valid() {
			t.Error("id.Valid() = true, want false")
		}
		if id.Number() != 0 {
			t.Errorf("id.Number() = %v, want 0", id.Number())
		}
	}
}

// TestKeysAreDistinct: two messages never share a key, and a key says which it is of.
func TestKeysAreDistinct(t *testing.T) {
	type message struct {
		N    uint64
		Line uint32
		M    int
		Tag  string
	}
	draw := rapid.Custom(func(t *rapid.T) message {
		return message{rapid.Uint64Range(1, 2_000_000).Draw(t, "n"), rapid.Uint32().Draw(t, "line"),
			rapid.IntRange(1, MaxMessages).Draw(t, "m"), rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "tag")}
	})
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x, y := Key(NewID(day, a.N), a.Tag, a.Line, a.M), Key(NewID(day, b.N), b.Tag, b.Line, b.M)
		if (x == y) != (a == b) {
			t.Fatalf("%+v has key %s, %+v has %s", a, x, b, y)
		}
		if strings.Trim(x, "0123456789abcdef-") != "" {
			t.Fatalf("key %q has other characters than hex digits and dashes", x)
		}
	})
	if got, want := Key("20260301-000042", "c0ffee00", 7, 2), "20260301-000042-7-2-c0ffee00"; got != want {
		t.Errorf("Key = %s, want %s: keys must never change their form", got, want)
	}
}

func TestContentsFor(t *testing.T) {
	all := []Content{{Item: json.RawMessage(`{"n":1}`)}, {ChannelType: "a", Item: json.RawMessage(`{"n":2}`)},
		{ChannelType: "b", Item: json.RawMessage(`{"n":3}`)}, {Item: json.RawMessage(`{"n":4}`)}}
	for channel, want := range map[string][]Content{"a": {all[0], all[1], all[3]}, "b": {all[0], all[2], all[3]}, "c": {all[0], all[3]}} {
		if diff := cmp.Diff(want, ContentsFor(all, channel)); diff != "" {
			t.Errorf("contents for %s (-want +got):\n%s", channel, diff)
		}
	}
	if got := ContentsFor(all[1:2], "b"); got != nil {
		t.Errorf("contents for a channel without any: %v", got)
	}
}

func TestDueAt(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	minute := Slice{Start: start, End: start.Add(time.Minute), First: 100, Rows: 7}
	dense := Slice{Start: start, End: start.Add(time.Minute), Rows: 1201}
	for _, c := range []struct {
		name  string
		slice Slice
		row   uint32
		burst bool
		want  time.Duration // after start
	}{
		{"first", minute, 100, false, 0},
		{"7 in a minute go 8.6 s apart", minute, 101, false, 8571428571},
		{"last", minute, 106, false, 51428571428},
		{"burst", minute, 106, true, 0},
		{"the last of 1,201 is due a second before the end", dense, 1200, false, 59 * time.Second},
		{"and those before it evenly", dense, 600, false, 29500 * time.Millisecond},
		{"without a slot", Slice{Start: start, First: 0, Rows: 7}, 6, false, 0},
		{"without rows", Slice{Start: start, End: start.Add(time.Minute)}, 0, false, 0},
	} {
		got := c.slice.DueAt(c.row, c.burst).Sub(start)
		switch diff := got - c.want; {
		case diff < -time.Microsecond:
			t.Errorf("%s: diff = %v, want at least %v\n%v\n%v", c.name, diff, -time.Microsecond, c.want, got)
		case diff > time.Microsecond:
			t.Errorf("%s: diff = %v, want at most %v\n%v\n%v", c.name, diff, time.Microsecond, c.want, got)
		}
	}
}

// TestDueAtIsOrdered: rows are due in order, from the slice's start, before its end.
func TestDueAtIsOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "start"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		length := time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "length"))
		s := Slice{Start: start, End: start.Add(length), First: rapid.Uint32Range(0, 1e7).Draw(t, "first"), Rows: rapid.Uint32Range(1, 1e7).Draw(t, "rows")}
		i := rapid.Uint32Range(0, s.Rows-1).Draw(t, "i")
		at := s.DueAt(s.First+i, false)
		if at.Before(s.Start) || !at.Before(s.End) {
			t.Fatalf("row %d of %+v is due %v", i, s, at)
		}
		if i > 0 && at.Before(s.DueAt(s.First+i-1, false)) {
			t.Fatalf("row %d of %+v is due before the row before it", i, s)
		}
	})
}

func TestProblemString(t *testing.T) {
	for want, p := range map[string]Problem{
		"a.csv:3:7: name: is empty":  {File: "a.csv", Line: 3, Column: 7, Field: "name", Message: "is empty"},
		"a.csv:3: is empty":          {File: "a.csv", Line: 3, Message: "is empty"},
		"a.csv: is empty":            {File: "a.csv", Column: 7, Message: "is empty"}, // a column of no line means nothing
		"name: is empty":             {Field: "name", Message: "is empty"},
		"is empty":                   {Message: "is empty"},
		"a.layout.json: x: is empty": {File: "a.layout.json", Field: "x", Message: "is empty"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	var a, b, all Problems
	for i := range MaxProblems - 1 {
		a.Addf("a", i+1, 0, "", "problem %d", i)
	}
	for range 250 {
		b.Add(Problem{File: "b", Message: "x"})
	}
	switch {
	case len(a.List) != MaxProblems-1:
		t.Errorf("len(a.List) = %v, want 99", len(a.List))
	case a.Count != MaxProblems-1:
		t.Errorf("a.Count = %v, want 99", a.Count)
	case a.List[7].Message != "problem 7":
		t.Errorf("a.List[7].Message = %q, want \"problem 7\"", a.List[7].Message)
	}
	if len(b.List) != MaxProblems || b.Count != 250 {
		t.Errorf("%d listed, %d counted, want %d of 250", len(b.List), b.Count, MaxProblems)
	}
	all.Merge(a)
	all.Merge(Problems{})
	all.Merge(b)
	switch {
	case len(all.List) != MaxProblems:
		t.Errorf("merged: len(all.List) = %v, want %v", len(all.List), MaxProblems)
	case all.Count != MaxProblems-1+250:
		t.Errorf("merged: all.Count = %v, want 349", all.Count)
	case all.List[MaxProblems-1].File != "b":
		t.Errorf("merged: all.List[MaxProblems-1].File = %q, want \"b\"", all.List[MaxProblems-1].File)
	}
}
