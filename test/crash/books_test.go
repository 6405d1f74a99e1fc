package crash

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// result is one line of results.csv.
type result struct {
	line, message int
	contact       string
	outcome       string
}

// ended is the result of a finished drop.
type ended struct {
	id      string
	place   string
	state   string
	reason  string
	results []result
	counts  map[string]int
}

// balance checks a finished drop: its files byte for byte, no unexpected files, exactly one
// final outcome per row and message, and the same counts in every report.
func (w *world) balance(d drop) ended {
	w.t.Helper()
	place, path := w.folder(d.name)
	e := ended{place: place, counts: map[string]int{}}
	if place != "done" && place != "failed" {
		w.t.Fatalf("%s is in %q", d.name, place)
	}
	for name, want := range d.files {
		if got, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(got) != want {
			w.t.Errorf("%s: %s differs from the dropped file: %d bytes, %v", d.name, name, len(got), err)
		}
	}
	allowed := map[string]bool{"report.json": true, "report.txt": true, "results.csv": true, "rejected.csv": true, "replies.csv": true,
		d.name + ".cancel": true, d.name + ".pause": true, d.name + ".resume": true}
	entries, err := os.ReadDir(path)
	w.must(err)
	for _, entry := range entries {
		if _, ours := d.files[entry.Name()]; !ours && !allowed[entry.Name()] {
			w.t.Errorf("%s: unexpected file %s in its folder", d.name, entry.Name())
		}
	}
	var report struct {
		ID, State, Reason string
		Messages          map[string]int
	}
	data, err := os.ReadFile(filepath.Join(path, "report.json"))
	w.must(err)
	w.must(json.Unmarshal(data, &report))
	e.id, e.state, e.reason = report.ID, report.State, report.Reason
	if report.State == "rejected" {
		return e
	}
	e.results = w.results(path)
	seen := map[[2]int]bool{}
	for _, r := range e.results {
		e.counts[r.outcome]++
		if at := [2]int{r.line, r.message}; seen[at] {
			w.t.Errorf("%s: line %d, message %d has two outcomes", d.name, r.line, r.message)
		} else {
			seen[at] = true
		}
		if o, err := campaign.ParseOutcome(r.outcome); err != nil || !o.Final() {
			w.t.Errorf("%s: line %d has the outcome %q", d.name, r.line, r.outcome)
		}
	}
	if want := (d.rows + d.bad) * d.per; len(seen) != want {
		w.t.Errorf("%s: %d outcomes, want %d", d.name, len(seen), want)
	}
	for outcome, n := range report.Messages {
		if outcome != "planned" && e.counts[outcome] != n {
			w.t.Errorf("%s: report.json has %d %s, results.csv %d", d.name, n, outcome, e.counts[outcome])
		}
	}
	if report.Messages["planned"] != d.rows*d.per {
		w.t.Errorf("%s: %d planned, want %d", d.name, report.Messages["planned"], d.rows*d.per)
	}
	return e
}

func (w *world) results(folder string) []result {
	w.t.Helper()
	f, err := os.Open(filepath.Join(folder, "results.csv"))
	w.must(err)
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	w.must(err)
	var all []result
	for _, r := range records[1:] {
		line, _ := strconv.Atoi(r[0])
		message, _ := strconv.Atoi(r[3])
		all = append(all, result{line: line, message: message, contact: r[1], outcome: r[4]})
	}
	return all
}

// deliveries compares the receiver's deliveries with a finished drop: every message reported as sent was
// delivered, every delivery is recorded, each under the key of its own row. It returns the
// number of messages delivered more than once.
func (w *world) deliveries(e ended, got map[string]int) (twice int) {
	w.t.Helper()
	byMessage := map[string]int{}
	for key, n := range got {
		if rest, ours := strings.CutPrefix(key, e.id+"-"); ours {
			name := rest[:strings.LastIndex(rest, "-")]
			if byMessage[name] != 0 {
				w.t.Errorf("message %s of %s was delivered under two keys", name, e.id)
			}
			byMessage[name] = n
		}
	}
	for _, r := range e.results {
		name := fmt.Sprintf("%d-%d", r.line, r.message)
		n := byMessage[name]
		delete(byMessage, name)
		switch {
		case r.outcome == "sent" && n == 0:
			w.t.Errorf("%s of %s has the outcome sent, but never arrived", name, e.id)
		case n > 0 && r.outcome != "sent" && r.outcome != "unknown":
			w.t.Errorf("%s of %s arrived, but has the outcome %s", name, e.id, r.outcome)
		}
		twice += max(n-1, 0)
	}
	if len(byMessage) > 0 {
		w.t.Errorf("%d messages of %s arrived that results.csv doesn't have", len(byMessage), e.id)
	}
	return twice
}

// inboxID is the file in accepted/ by which the daemon knows an inbox.
const inboxID = ".inbox-id"

// tidy lists files in the inbox that don't belong there.
func (w *world) tidy() {
	w.t.Helper()
	w.must(filepath.WalkDir(w.inbox, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), ".") && entry.Name() != inboxID {
			w.t.Errorf("%s was left behind", strings.TrimPrefix(path, w.inbox))
		}
		return err
	}))
	ours := []string{"./accepted", "./done", "./failed", "./campaigns.txt", "./examples", "accepted/" + inboxID}
	for _, place := range []string{".", "accepted"} {
		entries, err := os.ReadDir(filepath.Join(w.inbox, place))
		w.must(err)
		for _, entry := range entries {
			if name := place + "/" + entry.Name(); !slices.Contains(ours, name) {
				w.t.Errorf("%s was left behind", name)
			}
		}
	}
}

// look opens the store between two runs, verifies its invariants and returns the number of messages in flight.
func (w *world) look() (inFlight uint64) {
	w.t.Helper()
	s, err := store.Open(filepath.Join(w.state, "campaignd.db"), store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { w.must(s.Close()) }()
	for _, wrong := range s.Verify(true) {
		w.t.Errorf("after a crash: %s", wrong)
	}
	w.reservations(s)
	stats, err := s.Stats()
	w.must(err)
	return stats.Messages[campaign.InFlight]
}

// reservations compares reservations of future slots with their unsent messages. It ignores the current
// slot, whose sent messages keep their reservations.
func (w *world) reservations(s *store.Store) {
	w.t.Helper()
	const slot = time.Second
	first := time.Now().Unix() + 1
	heads, err := s.Sendings(store.Filter{Application: 2})
	w.must(err)
	want := map[int64]uint32{}
	for _, head := range heads {
		_, slices, _, err := s.Load(head.ID)
		w.must(err)
		unsent := map[uint32]uint32{}
		w.must(s.EachChunk(head.ID, func(rows *campaign.Rows, marks []campaign.MessageStatus, _ []campaign.Entry) error {
			for i, m := range marks {
				if !m.Outcome().Final() {
					unsent[rows.First+uint32(i/head.Messages)]++
				}
			}
			return nil
		}))
		for _, one := range slices {
			for row := one.First; one.Sliced() && row < one.First+one.Rows; row++ {
				want[one.Start.Unix()] += unsent[row]
			}
		}
	}
	const look = 600
	booked, err := s.Reserved(2, slot, first, look)
	w.must(err)
	for i, n := range booked {
		at := first + int64(i)
		if n > want[at] || n < want[at] && !w.retries {
			w.t.Errorf("slot %d: %d messages are reserved, want %d (unsent)", at, n, want[at])
		}
	}
}
