package watch

import (
	"strings"
	"testing"
	"time"
)

func TestCSVAloneIsADropOfAnInboxWithALayout(t *testing.T) {
	opt := standard()
	opt.DefaultLayout = true
	opt.NoteAfter = 5 * time.Second
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(15 * time.Second)
		b.want("a")
		if got, want := b.noteOf("a"), "is taken without them: a.layout.json and a.schedule.json may still come"; !strings.Contains(got, want) {
			t.Errorf("the note is %q, want %q in it", got, want)
		}
		b.pass(16500 * time.Millisecond)
		b.want("a")
		b.pass(time.Second)
		b.want("a", "ready")
		switch d := b.first("ready", "a").drop; {
		case d.Layout != nil:
			t.Errorf("d.Layout = %+v, want nil", d.Layout)
		case d.Sidecar != nil:
			t.Errorf("d.Sidecar = %+v, want nil", d.Sidecar)
		case d.CSV == nil:
			t.Error("d.CSV is nil")
		}
	})
}

func TestSidecarCommitsACSVWithoutLayout(t *testing.T) {
	opt := standard()
	opt.DefaultLayout = true
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(5 * time.Second)
		b.put("a.schedule.json")
		b.pass(4 * time.Second)
		b.want("a", "ready")
	})
}

// The default layout must not win against one that is uploaded after the sidecar.
func TestSidecarBeforeTheCSVCommitsNothing(t *testing.T) {
	opt := standard()
	opt.DefaultLayout = true
	bubble(t, opt, func(b *inbox) {
		b.put("a.schedule.json")
		b.run()
		b.pass(5 * time.Second)
		b.put("a.csv")
		b.pass(20 * time.Second)
		b.want("a")
		b.put("a.layout.json")
		b.pass(4 * time.Second)
		b.want("a", "ready")
		if d := b.first("ready", "a").drop; d.Layout == nil {
			t.Errorf("the drop is %+v", d)
		}
	})
}

func TestNearLayoutIsNotReplacedByTheDefault(t *testing.T) {
	opt := standard()
	opt.DefaultLayout = true
	bubble(t, opt, func(b *inbox) {
		b.put("spring.csv", "spring_layout.json")
		b.run()
		b.pass(time.Minute)
		b.want("spring")
		b.pass(time.Hour)
		b.want("spring", "incomplete")
		if got, want := troubles(b.first("incomplete", "spring").drop), "rename it to spring.layout.json"; !strings.Contains(got, want) {
			t.Errorf("it says %q, want %q in it", got, want)
		}
	})
}

func TestLayoutAloneIsIncomplete(t *testing.T) {
	opt := standard()
	opt.DefaultLayout = true
	bubble(t, opt, func(b *inbox) {
		b.put("a.layout.json")
		b.run()
		b.pass(time.Hour + time.Minute)
		b.want("a", "incomplete")
	})
}

// A zip may hold the layout, so it is taken without one; intake looks into it.
func TestZipNeedsNothingNextToIt(t *testing.T) {
	opt := standard()
	opt.RequireSidecar = true
	bubble(t, opt, func(b *inbox) {
		b.put("a.zip", "b.csv.gz", "c.xlsx")
		b.run()
		b.pass(34 * time.Second)
		b.want("a", "ready")
		b.want("b")
		b.want("c")
		b.pass(time.Hour)
		b.want("b", "incomplete")
		b.want("c", "incomplete")
	})
}

func TestTwoFormatsOfOneCSVAreRefused(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.xlsx", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(time.Minute)
		b.want("a", "refused")
		if got, want := troubles(b.first("refused", "a").drop), "a.xlsx: is one of several files for the same part of the drop"; !strings.Contains(got, want) {
			t.Errorf("it says %q, want %q in it", got, want)
		}
	})
}

func TestFormatsByName(t *testing.T) {
	const optOuts = "its name is that of a list of opt-outs, which is a plain CSV: upload it as NAME.suppress.csv. " +
		"If it is a list of recipients, give it a name that doesn't end like suppress"
	for file, want := range map[string]Name{
		"a.csv":             {Kind: KindCSV, Base: "a"},
		"a.CSV.gz":          {Kind: KindCSV, Base: "a", Format: FormatGzip},
		"a.zip":             {Kind: KindCSV, Base: "a", Format: FormatZip},
		"a.csv.zip":         {Kind: KindCSV, Base: "a", Format: FormatZip},
		"a.v2.XLSX":         {Kind: KindCSV, Base: "a.v2", Format: FormatSheet},
		"a.gz":              {Kind: KindForeign},
		"a.xls":             {Kind: KindForeign},
		"a.zip.part":        {Kind: KindTemporary, Base: "a"},
		"a.suppress.xlsx":   {Kind: KindBadName, Why: optOuts},
		"a.Suppress.csv.gz": {Kind: KindBadName, Why: optOuts},
	} {
		if got := ParseName(file); got != want {
			t.Errorf("%s is %+v, want %+v", file, got, want)
		}
	}
}
