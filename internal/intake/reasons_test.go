package intake

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/store"
)

// The note on a wait says how that wait ends: what only the operator can end never goes to failed/.
func TestNoteSaysHowTheWaitEnds(t *testing.T) {
	for name, test := range map[string]struct {
		inbox, csv string
		free       uint64
		want       string
	}{
		"full disk": {"", goodCSV, check.MinFreeSpace, `campaignd has all files of the drop "spring". It waits: the disk of the store has 64 MiB free`},
		"no line end": {`unterminated_wait = "5m"`, strings.TrimSuffix(goodCSV, "\n"), 1 << 40,
			`campaignd has all files of the drop "spring". It waits until 2026-03-02 09:05:00 UTC and is then checked as it is: the last line of the CSV has no line end`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, test.inbox, "")
			h.in.free = func(string) (uint64, error) { return test.free, nil }
			h.put("spring", test.csv, goodLayout, goodSidecar)
			h.in.Ready(h.watchedDrop("spring"))
			h.work()
			h.clock = h.clock.Add(2 * time.Minute)
			h.scanned()
			got := h.note("spring")
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q at its beginning", got, test.want)
			}
			if strings.Contains(got, "goes to failed/") {
				t.Errorf("%q, but it never does", got)
			}
		})
	}
}

// A command before its drop says until when it waits.
func TestNoteOnACommandSaysUntilWhen(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, "", "")
	h.control("spring.pause", "")
	h.clock = h.clock.Add(2 * time.Minute)
	h.scanned()
	wantParts(t, h.note("spring.pause"), `It is obeyed as soon as the drop "spring" is accepted; without such a drop it goes to failed/ at 2026-03-02 10:00:00 UTC.`)
}

// A list that exceeds max_opt_outs half-way doesn't claim that nobody in it is opted out.
func TestListThatExceedsTheLimitSaysHowMuchWasTaken(t *testing.T) {
	const because = ": there are as many opt-outs as max_opt_outs allows; ask the operator to raise max_opt_outs, then upload the list again."
	for added, want := range []string{
		"x.suppress.csv was not taken in and nobody in it is opted out" + because,
		"x.suppress.csv was taken in only in part, with 1 new opt-out" + because,
		"x.suppress.csv was taken in only in part, with 2 new opt-outs" + because,
	} {
		if got := tooManyOptOuts("x.suppress.csv", added); got != want {
			t.Errorf("with %d added: got %q, want %q", added, got, want)
		}
	}
	h := newHarness(t, "", "")
	key := func(dst []byte, _ int64, _ string, contact []byte) []byte { return append(dst, contact...) }
	if err := h.store.UseOptOutRules(store.OptOutRules{Max: 1, Key: key}); err != nil {
		t.Fatal(err)
	}
	h.control("x.suppress.csv", "contactCode\n34666777111\n34666777222\n")
	if got, want := h.failedControl("x.suppress.csv"), tooManyOptOuts("x.suppress.csv", 0); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReasonsOfAFullInboxCount(t *testing.T) {
	inbox := &config.Inbox{Path: "in", MaxDrops: 1}
	table := newDropTable()
	for n, want := range []string{"", "1 drop of this inbox is unfinished, and max_drops is 1", "2 drops of this inbox are unfinished, and max_drops is 1"} {
		table.inboxes[filepath.Clean(inbox.Path)] = load{drops: n}
		if got := table.room(inbox, 1); got != want {
			t.Errorf("with %d: got %q, want %q", n, got, want)
		}
	}
}
