package daemon

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// event is something that happens to the daemon. Only the fields of its kind are used.
type event struct {
	Kind      string
	Drop      int // which, of those so far
	Length    time.Duration
	App       int
	Rows      int
	Messages  int
	Condition campaign.Condition
	In        time.Duration // scheduleAt from now
}

// The applications of the random scenarios: slots of a minute for 20 messages. The
// second one's windows are closed from minute 40 to 59.
const (
	invariantSlot     = time.Minute
	invariantCapacity = 20
)

func drawEvents(t *rapid.T) []event {
	one := rapid.Custom(func(t *rapid.T) event {
		e := event{Kind: rapid.SampledFrom([]string{"drop", "drop", "drop", "cancel", "pause", "resume", "stop", "jump", "pass", "pass"}).Draw(t, "kind")}
		switch e.Kind {
		case "drop":
			e.App = rapid.IntRange(1, 2).Draw(t, "application")
			e.Rows = rapid.IntRange(1, 150).Draw(t, "rows")
			e.Messages = rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "messages")
			e.Condition = rapid.SampledFrom(campaign.Conditions).Draw(t, "condition")
			e.In = time.Duration(rapid.IntRange(0, 5400).Draw(t, "in")) * time.Second
		case "cancel", "pause", "resume":
			e.Drop = rapid.IntRange(0, 9).Draw(t, "drop")
		case "jump":
			e.Length = time.Duration(rapid.IntRange(-4000, 4000).Draw(t, "jump")) * time.Second
		default:
			e.Length = time.Duration(rapid.IntRange(1, 2400).Draw(t, "length")) * time.Second
		}
		return e
	})
	return rapid.SliceOfN(one, 3, 14).Draw(t, "events")
}

// accepted holds the test's own record of a drop.
type accepted struct {
	name     string
	e        event
	from     time.Time   // T
	starts   []time.Time // by row: when its first slot begins
	canceled bool
}

// TestInvariants checks what must always be true, over random drops, cancels,
// pauses, stops and jumps of the clock.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := drawEvents(rt)
		dir := tempDir(t)
		var broken []string
		synctest.Test(t, func(t *testing.T) {
			broken = runEvents(newHarness(t, dir, at(9, 0), shop(1, "", fmt.Sprintf(`enabled = true, slot = "1m", capacity = %d`, invariantCapacity))+
				shop(2, `windows = ["0-39 * * * *"]`+"\ntimezone = \"UTC\"", fmt.Sprintf(`enabled = true, slot = "1m", capacity = %d`, invariantCapacity))), events)
		})
		_ = os.RemoveAll(dir)
		if len(broken) > 0 {
			rt.Fatalf("%+v\n%s", events, strings.Join(broken, "\n"))
		}
	})
}

// runEvents applies the events, waits for the end and returns the broken invariants.
func runEvents(w *harness, events []event) []string {
	var drops []*accepted
	w.start()
	for _, e := range events {
		switch e.Kind {
		case "drop":
			a := &accepted{name: fmt.Sprint("d", len(drops)), e: e, from: w.now().Add(e.In).Truncate(time.Second)}
			w.accept(a.name, e.Rows, "applicationId", e.App, "campaignId", e.Messages, "scheduleAt", a.from, "slicingCondition", string(e.Condition))
			for _, s := range w.report(a.name).Slices {
				for range s.Recipients {
					a.starts = append(a.starts, s.Start)
				}
			}
			drops = append(drops, a)
		case "cancel", "pause", "resume":
			if len(drops) == 0 {
				continue
			}
			a := drops[e.Drop%len(drops)]
			do := map[string]func(context.Context, campaign.ID) (campaign.State, error){
				"cancel": w.running.send.Cancel, "pause": w.running.send.Pause, "resume": w.running.send.Resume}[e.Kind]
			if state, err := do(context.Background(), w.id(a.name)); err == nil && e.Kind == "cancel" {
				a.canceled = state == campaign.StateCanceled
			}
			synctest.Wait()
			if e.Kind == "pause" || e.Kind == "cancel" {
				before := len(w.sentBy(a.name))
				w.wait(5 * time.Second)
				if after := len(w.sentBy(a.name)); after > before && !resumed(w, a) {
					return []string{fmt.Sprintf("%s: %d more were sent after it was to %s", a.name, after-before, e.Kind)}
				}
			}
		case "stop":
			w.shutdown()
			w.wait(e.Length)
			w.start()
		case "jump":
			w.setClock(e.Length)
		case "pass":
			w.wait(e.Length)
		}
	}
	for _, a := range drops {
		if w.report(a.name).State == campaign.StatePaused {
			if _, err := w.running.Resume(context.Background(), w.id(a.name), "test"); err != nil {
				return []string{err.Error()}
			}
		}
	}
	if _, err := w.running.ResumeAll(context.Background(), "test"); err != nil {
		return []string{err.Error()}
	}
	for range 60 {
		if over(w, drops) {
			break
		}
		w.wait(time.Hour)
	}
	w.wait(time.Minute)
	w.shutdown()
	return append(brokenMessages(w, drops), brokenOutcomes(w, drops)...)
}

// resumed reports whether the sending was resumed after its last pause.
func resumed(w *harness, a *accepted) bool {
	state := w.report(a.name).State
	return state.Active()
}

func over(w *harness, drops []*accepted) bool {
	for _, a := range drops {
		if !w.report(a.name).State.Final() {
			return false
		}
	}
	return true
}

// brokenMessages returns the broken invariants of single messages.
func brokenMessages(w *harness, drops []*accepted) (wrong []string) {
	byName := map[string]*accepted{}
	for _, a := range drops {
		byName[a.name] = a
	}
	keys := map[string]string{}
	slots := map[string]int{}
	sentNumbers := map[string]int{}
	for _, s := range w.allSent() {
		name, number, _ := strings.Cut(s.contact, "-")
		a := byName[name]
		what := fmt.Sprintf("%s message %d at %s", s.contact, s.number, s.wall.Format(time.TimeOnly))
		if before, twice := keys[s.key]; twice {
			wrong = append(wrong, what+" was sent before: "+before)
		}
		keys[s.key] = what
		if sentNumbers[s.contact]++; sentNumbers[s.contact] != s.number {
			wrong = append(wrong, fmt.Sprintf("%s comes as number %d of its recipient", what, sentNumbers[s.contact]))
		}
		var row int
		if _, err := fmt.Sscan(number, &row); err != nil || row >= len(a.starts) {
			wrong = append(wrong, what+" has no slot")
		} else if s.wall.Before(a.starts[row]) || s.wall.Before(a.from) {
			wrong = append(wrong, fmt.Sprintf("%s goes before its slice, %s", what, a.starts[row].Format(time.TimeOnly)))
		}
		if a.e.App == 2 && s.wall.Minute() >= 40 {
			wrong = append(wrong, what+" goes outside the windows")
		}
		slot := fmt.Sprint("application ", a.e.App, ", slot ", s.wall.Truncate(invariantSlot).Format(time.DateTime))
		if slots[slot]++; slots[slot] == invariantCapacity+1 {
			wrong = append(wrong, slot+" is overrun by "+what)
		}
	}
	return wrong
}

// brokenOutcomes returns the broken invariants of the reports: every message of every
// row has one final outcome, in report.json and in results.csv, and exactly the sent ones are "sent".
func brokenOutcomes(w *harness, drops []*accepted) (wrong []string) {
	for _, a := range drops {
		doc := w.report(a.name)
		m := doc.Messages
		if !doc.State.Final() {
			wrong = append(wrong, fmt.Sprintf("%s is %s at the end: %s", a.name, doc.State, doc.Reason))
			continue
		}
		if a.canceled && doc.State != campaign.StateCanceled {
			wrong = append(wrong, fmt.Sprintf("%s was canceled and is %s", a.name, doc.State))
		}
		if all := m.Sent + m.Failed + m.Unknown + m.Expired + m.Canceled + m.Suppressed + m.Skipped; all != m.Planned || m.Planned != uint64(a.e.Rows*a.e.Messages) {
			wrong = append(wrong, fmt.Sprintf("%s: the counters don't agree: %+v", a.name, *m))
		}
		went := map[string]bool{}
		for _, s := range w.sentBy(a.name) {
			if s.verdict == send.VerdictSent {
				went[fmt.Sprint(s.contact, "/", s.number)] = true
			}
		}
		if uint64(len(went)) != m.Sent {
			wrong = append(wrong, fmt.Sprintf("%s: %d went out, %d are sent by the report", a.name, len(went), m.Sent))
		}
		wrong = append(wrong, brokenResults(w, a, went)...)
	}
	return wrong
}

// brokenResults compares results.csv with the sent messages.
func brokenResults(w *harness, a *accepted, went map[string]bool) []string {
	f, err := os.Open(filepath.Join(w.folder(a.name), "results.csv"))
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil || len(records) != a.e.Rows*a.e.Messages+1 {
		return []string{fmt.Sprintf("%s: results.csv has %d records (%v), want a header and %d", a.name, len(records), err, a.e.Rows*a.e.Messages)}
	}
	seen := map[string]bool{}
	for _, r := range records[1:] { // line,contactCode,channelType,message,outcome,…
		key := r[1] + "/" + r[3]
		if seen[key] || (r[4] == "sent") != went[key] {
			return []string{fmt.Sprintf("%s: results.csv has %v; sent: %t", a.name, r, went[key])}
		}
		seen[key] = true
	}
	return nil
}
