package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/report"
	"campaignd/internal/send"
)

// folder returns the drop's folder, "" if it wasn't claimed.
func (w *harness) folder(name string) string {
	w.t.Helper()
	pattern := filepath.Join(w.dir, "in", "*", name+".2*")
	found, err := filepath.Glob(pattern)
	w.check(err)
	if len(found) > 1 { // it was moved between the reads of two folders
		found, err = filepath.Glob(pattern)
		w.check(err)
	}
	if len(found) > 1 {
		w.t.Fatalf("%s is in several folders: %q", name, found)
	}
	return strings.Join(found, "")
}

// id returns the id of the drop's sending.
func (w *harness) id(name string) campaign.ID {
	w.t.Helper()
	id := campaign.ID(strings.TrimPrefix(filepath.Ext(w.folder(name)), "."))
	if !id.Valid() {
		w.t.Fatalf("%s has become no sending", name)
	}
	return id
}

// report returns the drop's report.json if it has ended, else its status.json.
func (w *harness) report(name string) report.Document {
	w.t.Helper()
	folder := w.folder(name)
	data, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err != nil {
		data, err = os.ReadFile(filepath.Join(folder, "status.json"))
	}
	w.check(err)
	var doc report.Document
	w.check(json.Unmarshal(data, &doc))
	return doc
}

// status returns the drop's status.json.
func (w *harness) status(name string) report.StatusDocument {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder(name), "status.json"))
	w.check(err)
	var doc report.StatusDocument
	w.check(json.Unmarshal(data, &doc))
	return doc
}

// text returns the drop's report.txt.
func (w *harness) text(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder(name), "report.txt"))
	w.check(err)
	return string(data)
}

// state fails the test unless the drop's sending is in the state.
func (w *harness) state(name string, want campaign.State) {
	w.t.Helper()
	if got := w.report(name); got.State != want {
		w.t.Errorf("%s is %s (%s), want %s", name, got.State, got.Reason, want)
	}
}

// sentBySlot counts the sent messages of each slot of the length, by its start as
// HH:MM:SS in UTC, with the date if it isn't the first day.
func sentBySlot(list []sent, slot time.Duration) map[string]int {
	counts := map[string]int{}
	for _, s := range list {
		start := s.wall.Truncate(slot) // slots and Truncate agree for lengths that divide a day
		counts[clock(start)]++
	}
	return counts
}

func clock(at time.Time) string {
	if days := int(at.Sub(day) / (24 * time.Hour)); days != 0 {
		return fmt.Sprintf("+%d %s", days, at.UTC().Format("15:04:05"))
	}
	return at.UTC().Format("15:04:05")
}

// plannedBySlot does the same for a report's slices.
func plannedBySlot(doc report.Document) map[string]int {
	counts := map[string]int{}
	for _, s := range doc.Slices {
		counts[clock(s.Start)] += int(s.Recipients)
	}
	return counts
}

// want fails the test unless got equals want.
func (w *harness) want(what string, got, want any) {
	w.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// checkInvariants fails the test if an attempt broke an invariant: nothing is sent after
// the receiver accepted it, before its time, or beyond an application's capacity in
// a slot.
func (w *harness) checkInvariants(capacity map[int64]int, slot map[int64]time.Duration) {
	w.t.Helper()
	accepted := map[string]bool{}
	slots := map[string]int{}
	for _, s := range w.allSent() {
		if accepted[s.key] {
			w.t.Errorf("%s is sent again", s.key)
		}
		accepted[s.key] = s.verdict == send.VerdictSent
		if s.wall.Before(s.due) {
			w.t.Errorf("%s was sent %s before its time", s.key, s.due.Sub(s.wall))
		}
		if s.attempt > 1 || slot[s.app] == 0 {
			continue
		}
		at := fmt.Sprint("application ", s.app, " ", s.wall.Truncate(slot[s.app]).Format(time.DateTime))
		if slots[at]++; slots[at] == capacity[s.app]+1 {
			w.t.Errorf("%s: more than %d messages", at, capacity[s.app])
		}
	}
}

// checkTenMinutes checks the invariants of application 1 with slots of tenMinutes.
func (w *harness) checkTenMinutes() {
	w.t.Helper()
	w.checkInvariants(map[int64]int{1: 100}, map[int64]time.Duration{1: 10 * time.Minute})
}
