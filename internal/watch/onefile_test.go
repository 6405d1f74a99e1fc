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
		if got, want := b.notes["a"], "is taken without them: a.layout.json and a.schedule.json may still come"; !strings.Contains(got, want) {
			t.Errorf("the note is %q, want %q in it", got, want)
		}
		b.pass(16500 * time.Millisecond)
		b.want("a")
		b.pass(time.Second)
		b.want("a", "ready")
		if d := b.first("ready", "a").drop; d.Layout != nil || d.Sidecar != nil || d.CSV == nil {
			t.Errorf("the drop is %+v", d)
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
