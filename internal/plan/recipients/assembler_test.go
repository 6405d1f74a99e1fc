package recipients

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

func TestDuplicates(t *testing.T) {
	data := header + "1,cloud_api,a\n1,sms,b\n 1 ,cloud_api,c\n2,fax,d\n1,cloud_api,forbidden\n01,cloud_api,e\n1,sms,f\n"
	for _, most := range []int{1, 2, 3, 100} {
		a, writer := take(t, testSpec(t, plainLayout, nil), data, most)
		if d := cmp.Diff([]uint32{2, 3, 7}, writer.lines); d != "" {
			t.Error(d)
		}
		var got []string
		for _, w := range writer.refusals {
			got = append(got, fmt.Sprintf("%d %v %s %.60s", w.Line, w.Outcome, w.ContactCode, w.Reason))
		}
		want := []string{
			"4 duplicate 1 the same contactCode on the same channel is on line 2; only ",
			"5 rejected 2 the application has no channel of this name; the campaign al",
			"6 rejected 1 the message holds a word that is not allowed; take it out",
			"8 duplicate 1 the same contactCode on the same channel is on line 3; only ",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		counts, planned := a.Counts()
		switch want := (campaign.RowCounts{Total: 7, Accepted: 3, Rejected: 2, Duplicate: 2}); {
		case counts != want:
			t.Errorf("counts = %+v, want %+v", counts, want)
		case planned != 4:
			t.Errorf("planned = %v, want 4", planned)
		}
		if n := strings.Count(writer.rejected.String(), "\n"); n != 2 {
			t.Errorf("rejected.csv has %d rows:\n%s", n, writer.rejected.String())
		}
		if p := a.Problems(); p.Count != 2 {
			t.Errorf("%d problems", p.Count)
		}
	}
}

func TestDedupeCanBeOff(t *testing.T) {
	spec := testSpec(t, plainLayout, func(s *Spec) { s.Dedupe = false })
	a, writer := take(t, spec, header+"1,sms,a\n1,sms,b\n", 10)
	switch counts, planned := a.Counts(); {
	case counts.Accepted != 2:
		t.Errorf("counts.Accepted = %v, want 2", counts.Accepted)
	case planned != 4:
		t.Errorf("planned = %v, want 4", planned)
	case len(writer.refusals) != 0:
		t.Errorf("len(writer.refusals) = %v, want 0: %+v", len(writer.refusals), writer.refusals)
	}
}

func TestVerdict(t *testing.T) {
	good, bad := "1%d,sms,a\n", "2%d,fax,a\n"
	rows := func(parts ...string) string {
		var b strings.Builder
		b.WriteString(header)
		for i, p := range parts {
			if strings.Contains(p, "%d") {
				p = fmt.Sprintf(p, i)
			}
			b.WriteString(p)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, data, want string
		change           func(*Spec)
	}{
		{"good", rows(good, good), "", nil},
		{"no row", header, "x.csv: the file has a header and no row", nil},
		{"no row and no end", strings.TrimSpace(header), "x.csv: the file has a header and no row", nil},
		{"no good row", rows(bad, bad), "x.csv: no row of 2 is good", nil},
		{"as many bad rows as allowed", rows(good, bad), "", func(s *Spec) { s.MaxBadRows = 0.5 }},
		{"more bad rows than good ones", rows(good, bad, bad), "x.csv: 2 of 3 rows are bad, more than the 50% that max_bad_rows allows", func(s *Spec) { s.MaxBadRows = 0.5 }},
		{"five bad rows pass", rows(good, good, good, good, good, bad, bad, bad, bad, bad), "", func(s *Spec) { s.MaxBadRows = 0 }},
		{"six don't", rows(good, good, good, good, good, good, bad, bad, bad, bad, bad, bad), "6 of 12 rows are bad, more than the 0%", func(s *Spec) { s.MaxBadRows = 0 }},
		{"duplicates are not bad", rows(good, "10,sms,a\n", "10,sms,a\n"), "", func(s *Spec) { s.MaxBadRows = 0 }},
		{"as many rows as allowed", rows(good, good), "", func(s *Spec) { s.MaxRows = 2 }},
		{"more", rows(good, good, good), "x.csv: the file has more than the 2 rows that max_rows allows", func(s *Spec) { s.MaxRows = 2 }},
		{"cut off", rows(good, "1,sms"), "x.csv:3: the file ends within this row: it is incomplete", nil},
		{"without end, but whole", rows(good, "1,sms,a"), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, most := range []int{1, 100} {
				a, _ := take(t, testSpec(t, plainLayout, c.change), c.data, most)
				if got := verdict(a); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestPreviews(t *testing.T) {
	spec := testSpec(t, plainLayout, func(s *Spec) { s.Previews = 4 })
	a, _ := take(t, spec, header+"1,cloud_api,Ana\n1,cloud_api,x\n2,sms,\"B\"\"o\"\n3,sms,c\n4,sms,d\n", 2)
	want := []campaign.Preview{
		{Line: 2, ContactCode: "1", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello Ana"}`},
		{Line: 4, ContactCode: "2", ChannelType: "sms", Message: 1, Content: `{"text":"1"}`},
		{Line: 4, ContactCode: "2", ChannelType: "sms", Message: 2, Content: `{"body":"Hello B\"o"}`},
		{Line: 5, ContactCode: "3", ChannelType: "sms", Message: 1, Content: `{"text":"1"}`},
	}
	if d := cmp.Diff(want, a.Previews()); d != "" {
		t.Error(d)
	}
}

func TestProblemsAreTheFirstHundredAndTheCount(t *testing.T) {
	a, writer := take(t, testSpec(t, plainLayout, nil), header+strings.Repeat("1,fax,a\n", 250), 30)
	p := a.Problems()
	switch {
	case len(p.List) != campaign.MaxProblems:
		t.Errorf("len(p.List): got %v, want %v", len(p.List), campaign.MaxProblems)
	case p.Count != 250:
		t.Errorf("p.Count: got %v, want 250", p.Count)
	case len(writer.refusals) != 250:
		t.Errorf("len(writer.refusals): got %v, want 250: %+v", len(writer.refusals), writer.refusals)
	case p.List[99].Line != 101:
		t.Errorf("p.List[99].Line: got %v, want 101", p.List[99].Line)
	}
}

func TestChunksAreFull(t *testing.T) {
	var b strings.Builder
	b.WriteString(header)
	const rows = 2*campaign.ChunkRows + 10
	for i := range rows {
		fmt.Fprintf(&b, "%d,sms,n%d\n", i, i)
		if i%1000 == 0 {
			fmt.Fprintf(&b, "%d,sms,twice\n", i)
		}
	}
	for _, most := range []int{700, 5000, 8192} {
		_, writer := take(t, testSpec(t, plainLayout, nil), b.String(), most)
		if d := cmp.Diff([]int{campaign.ChunkRows, campaign.ChunkRows, 10}, writer.chunks); d != "" {
			t.Error(d)
		}
		for i, got := range writer.rows {
			if want := fmt.Sprintf(` %d sms "n%d" "X-n%d-n%d" "10%%"`, i, i, i, i); !strings.HasSuffix(got, want) {
				t.Fatalf("row %d is %s", i, got)
			}
		}
	}
}

// TestEveryRowIsAccountedFor: accepted, rejected or duplicate, exactly one, and
// which of them is what a plain model says.
func TestEveryRowIsAccountedFor(t *testing.T) {
	contact := rapid.SampledFrom([]string{"1", " 1", "2", "3", "", "3.4E+10", "\"4,4\"", "5\"5", "6"})
	channel := rapid.SampledFrom([]string{"sms", "cloud_api", "email", ""})
	name := rapid.SampledFrom([]string{"a", "forbidden", "\"x\ny\"", "a,b"})
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(rt, "batch")
		n := rapid.IntRange(0, 30).Draw(rt, "rows")
		var b strings.Builder
		b.WriteString(header)
		want := map[uint32]campaign.Outcome{}
		seen := map[string]bool{}
		line := uint32(2)
		for range n {
			c, ch, v := contact.Draw(rt, "contact"), channel.Draw(rt, "channel"), name.Draw(rt, "name")
			if strings.Contains(c, "5") {
				v = "a" // a stray quote and a line break in one row would refuse the whole drop
			}
			b.WriteString(c + "," + ch + "," + v + "\n")
			key := strings.TrimSpace(c) + " " + ch
			switch {
			case c == "" || c == "3.4E+10" || strings.Contains(c, "5") || ch == "email" || ch == "" || v == "forbidden" || v == "a,b":
				want[line] = campaign.Rejected
			case seen[key]:
				want[line] = campaign.Duplicate
			default:
				want[line] = campaign.Sent // stands for accepted
				seen[key] = true
			}
			line += 1 + uint32(strings.Count(v, "\n"))
		}
		a, writer := take(t, testSpec(t, plainLayout, nil), b.String(), most)
		got := map[uint32]campaign.Outcome{}
		for _, l := range writer.lines {
			got[l] = campaign.Sent
		}
		for _, w := range writer.refusals {
			if _, twice := got[w.Line]; twice {
				rt.Fatalf("line %d has two ends", w.Line)
			}
			got[w.Line] = w.Outcome
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatal(b.String(), d)
		}
		switch c, _ := a.Counts(); {
		case c.Total != uint32(n):
			rt.Fatalf("c.Total = %v, want %v", c.Total, uint32(n))
		case c.Total != c.Accepted+c.Rejected+c.Duplicate:
			rt.Fatalf("c.Total = %v, want %v", c.Total, c.Accepted+c.Rejected+c.Duplicate)
		case int(c.Accepted) != len(writer.lines):
			rt.Fatalf("int(c.Accepted) = %v, want %v", int(c.Accepted), len(writer.lines))
		}
		if !slices.IsSortedFunc(writer.refusals, func(x, y campaign.Refusal) int { return int(x.Line) - int(y.Line) }) {
			rt.Fatal("refusals out of order")
		}
	})
}

// TestIndexIsExact: keys whose hashes collide are told apart, whatever the order.
func TestIndexIsExact(t *testing.T) {
	for _, hash := range []func(i int) uint64{
		func(int) uint64 { return 0 },
		func(int) uint64 { return 1<<64 - 1 },
		func(i int) uint64 { return uint64(i%3) << 62 },
		func(i int) uint64 { return uint64(i) * 0x9E3779B97F4A7C15 },
	} {
		const n = 300
		x := newIndex(n, new(Memory))
		for round := range 2 {
			for i := range n {
				key := appendKey(nil, uint32(i+2), uint8(i%2), fmt.Appendf(nil, "%d", i/2))
				at, err := x.write(key)
				if err != nil {
					t.Fatal(err)
				}
				line, err := x.add(key, at, hash(i))
				if want := uint32(i+2) * uint32(round); line != want || err != nil {
					t.Fatalf("key %d: line %d, want %d, %v", i, line, want, err)
				}
			}
		}
		if x.used != n {
			t.Errorf("%d keys of %d", x.used, n)
		}
	}
}

// TestIndexBytesPerRow checks the size that index promises: 10 bytes a row.
func TestIndexBytesPerRow(t *testing.T) {
	const rows = 1_000_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x := newIndex(rows, nil)
	runtime.ReadMemStats(&after)
	perRow := float64(after.TotalAlloc-before.TotalAlloc) / rows
	t.Logf("%.2f bytes a row", perRow)
	if perRow > 10.1 {
		t.Errorf("perRow = %v, want at most 10.1", perRow)
	}
	if len(x.slots) < rows*5/4 {
		t.Errorf("len(x.slots) = %v, want at least 1250000", len(x.slots))
	}
	// A file of line ends alone must not have a table of its size.
	r := &Checker{spec: Spec{Dedupe: true, MaxRows: 10}}
	if a := r.Assemble(2<<30, nil, nil); len(a.index.slots) > 20 {
		t.Errorf("%d slots", len(a.index.slots))
	}
}

// brokenSpill fails where it is told to.
type brokenSpill struct {
	Memory
	write, read error
	short       bool
}

func (s *brokenSpill) Write(p []byte) (int, error) {
	if s.short {
		return 0, nil
	}
	if s.write != nil {
		return 0, s.write
	}
	return s.Memory.Write(p)
}

func (s *brokenSpill) ReadAt(p []byte, at int64) (int, error) {
	if s.read != nil {
		return 0, s.read
	}
	return s.Memory.ReadAt(p, at)
}

func TestErrorsOfOthersArePassedOn(t *testing.T) {
	gone := errors.New("disk gone")
	r, err := New(testSpec(t, plainLayout, func(s *Spec) { s.Columns = []string{"contactCode", "channelType", "name"} }))
	if err != nil {
		t.Fatal(err)
	}
	one := func(codes ...string) *Checked {
		c := &Checked{Total: uint32(len(codes))}
		c.reset(3, len(codes))
		for i, code := range codes {
			c.Rows.Lines = append(c.Rows.Lines, uint32(i+2))
			c.Rows.Channels = append(c.Rows.Channels, 0)
			c.Rows.Contacts.AppendString(code)
			for v := range c.Rows.Values {
				c.Rows.Values[v].AppendString("x")
			}
			c.hashes = append(c.hashes, 7)
			c.keys = appendKey(c.keys, uint32(i+2), 0, []byte(code))
			c.keyEnds = append(c.keyEnds, uint32(len(c.keys)))
		}
		return c
	}
	for _, c := range []struct {
		spill  *brokenSpill
		writer error
		want   error
		bound  int64
	}{
		{&brokenSpill{write: gone}, nil, gone, 10},
		{&brokenSpill{short: true}, nil, io.ErrShortWrite, 10},
		{&brokenSpill{read: gone}, nil, gone, 10},
		{&brokenSpill{}, gone, gone, 10},
		{&brokenSpill{}, nil, errIndexFull, 1},
	} {
		a := r.Assemble(c.bound, c.spill, &recordingWriter{t: t, spec: r.spec, fail: c.writer})
		err := a.Add(one("a", "b", "c", "d", "a"))
		if err == nil {
			err = a.Finish()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
	}
}

func TestMemory(t *testing.T) {
	var m Memory
	m.Write([]byte("abc"))
	p := make([]byte, 2)
	if n, err := m.ReadAt(p, 2); n != 1 || err != io.EOF {
		t.Error(n, err)
	}
	if n, err := m.ReadAt(p, 3); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	switch n, err := m.ReadAt(p, 1); {
	case n != 2:
		t.Errorf("n = %v, want 2", n)
	case err != nil:
		t.Error(err)
	case string(p) != "bc":
		t.Errorf("p = %q, want \"bc\"", string(p))
	}
}

// TestExactlyAsManyBadRows: a share that has no exact binary form loses no row at its border.
func TestExactlyAsManyBadRows(t *testing.T) {
	for tenths := 1; tenths < 1000; tenths++ {
		percent, err := strconv.ParseFloat(fmt.Sprintf("%d.%d", tenths/10, tenths%10), 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []int{tenths, tenths + 1} {
			a := &Assembler{checker: &Checker{spec: Spec{MaxBadRows: percent / 100}}}
			a.counts = campaign.RowCounts{Total: 1000, Rejected: uint32(bad), Accepted: uint32(1001 - bad)}
			if refused := len(a.Verdict()) > 0; refused != (bad > tenths && bad > alwaysAllowed) {
				t.Errorf("%d of 1000 rows are bad, %v%% are allowed: refused %v", bad, percent, refused)
			}
		}
	}
}
