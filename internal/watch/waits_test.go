package watch

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestWaitsSayWhatIsMissing(t *testing.T) {
	opt := standard()
	opt.PairTimeout = 10 * time.Hour
	bubble(t, opt, func(b *inbox) {
		b.put("half.csv")
		b.run()
		b.pass(3 * time.Second)
		b.put("other.layout.json", "whole.csv", "whole.layout.json", "some.pause")
		b.do(os.Symlink("half.csv", b.path("linked.csv")))
		b.pass(time.Second)
		b.wantWaits(map[string]string{
			"half": "half.layout.json must still come", "other": "its files changed a moment ago", "whole": "its files changed a moment ago",
			"some.pause": "its files changed a moment ago",
		}, "half")
		b.pass(4 * time.Second)
		b.wantWaits(map[string]string{
			"half": "half.layout.json must still come", "other": "other.csv must still come", "whole": "whole.schedule.json may still come",
		}, "half")
	})
}

// wantWaits holds what waits to a list (one that says that files changed may say what is missing instead), the first of them by name.
func (b *inbox) wantWaits(want map[string]string, first string) {
	b.t.Helper()
	got := b.w.Waits()
	if len(got) == 0 || got[0].Name != first || !got[0].Since.Equal(b.start) {
		b.t.Fatalf("what waits: %+v, want %s first, since %v", got, first, b.start)
	}
	for _, w := range got {
		if _, ok := want[w.Name]; !ok && w.Name != "linked" {
			b.t.Errorf("%s waits: %s", w.Name, w.Reason)
		}
	}
	for name, reason := range want {
		found := false
		for _, w := range got {
			found = found || w.Name == name && (w.Reason == reason || reason == "its files changed a moment ago" && w.Reason != "")
		}
		if !found {
			b.t.Errorf("%s should wait: %q; got %+v", name, reason, got)
		}
	}
}

func TestWaitsAreBounded(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.run()
		for i := range maxWaits + 20 {
			b.put(fmt.Sprintf("d%02d.csv", i))
			b.pass(time.Second)
		}
		b.pass(5 * time.Second)
		got := b.w.Waits()
		switch {
		case len(got) != maxWaits:
			b.t.Errorf("len(got) = %v, want %v", len(got), maxWaits)
		case got[0].Name != "d00":
			b.t.Errorf("got[0].Name = %q, want \"d00\"", got[0].Name)
		case got[maxWaits-1].Name != fmt.Sprintf("d%02d", maxWaits-1):
			b.t.Errorf("got[maxWaits-1].Name = %q, want %q", got[maxWaits-1].Name, fmt.Sprintf("d%02d", maxWaits-1))
		}
		if n := b.w.Counts().Pending; n != maxWaits+20 {
			b.t.Errorf("%d pending", n)
		}
	})
}
