package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
	"campaignd/test/programs"
)

// TestBackup takes a backup during a sending, deletes the store and restores the backup. Everything is held
// with a reason, and messages that the backup knows as sent are not sent again.
func TestBackup(t *testing.T) {
	for name, via := range map[string]int{"retry": viaHook, "hold": viaHold} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{rate: 2000})
			w.start().ready()
			d := w.drop("a", via, 3000, 0, "")
			later := w.drop("later", viaHook, 10, 0, `,"delay":"PT1H"`)
			known, unsure := w.restore()
			p := w.start().ready()
			if !w.logged("restored from a backup", "resume --all") {
				t.Error("the start doesn't say that the store was restored")
			}
			w.heldAndQuiet(2)
			if _, err := w.run("resume", "--all"); err != nil {
				t.Fatal(err)
			}
			w.ended(30*time.Second, d)
			e := w.balance(d)
			got := w.hook.delivered(t)
			for message := range known {
				if n := timesOf(got, e.id, message); n != 1 {
					t.Errorf("message %s was sent when the backup was made, and was delivered %d times", message, n)
				}
			}
			if via == viaHold {
				for message := range unsure {
					if n := timesOf(got, e.id, message); n > 1 {
						t.Errorf("message %s was in flight when the backup was made, and was delivered %d times", message, n)
					}
				}
			}
			w.deliveries(e, got)
			if _, err := w.run("cancel", "later"); err != nil {
				t.Fatal(err)
			}
			w.ended(10*time.Second, later)
			w.doctor()
			w.tidy()
			p.stop()
			// After the second start nothing is held again.
			w.start().ready()
			if w.logged("restored") {
				t.Error("the second start counts the store as restored again")
			}
			w.doctor()
		})
	}
}

// restore takes a backup once some messages are sent, kills the daemon later and restores the
// copy. It returns the messages the copy knows as sent, and those it has in flight.
func (w *world) restore() (known, unsure map[string]bool) {
	w.t.Helper()
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 300 })
	copied := filepath.Join(w.dir, "backup.db")
	if _, err := w.run("backup", copied); err != nil {
		w.t.Fatal(err)
	}
	at, _ := w.hook.count()
	w.until(20*time.Second, "sending on", func() bool { n, _ := w.hook.count(); return n > at+300 })
	w.last.kill()
	known, unsure = w.knownBy(copied)
	if len(known) == 0 {
		w.t.Fatal("the backup knows no sent message")
	}
	path := filepath.Join(w.state, "campaignd.db")
	w.must(os.Remove(path))
	data, err := os.ReadFile(copied)
	w.must(err)
	w.must(os.WriteFile(path, data, 0o600))
	return known, unsure
}

// knownBy reads a copy of a backup. Opening the backup itself as a store would hold its sendings.
func (w *world) knownBy(backup string) (known, unsure map[string]bool) {
	w.t.Helper()
	data, err := os.ReadFile(backup)
	w.must(err)
	path := filepath.Join(w.t.TempDir(), "look.db")
	w.must(os.WriteFile(path, data, 0o600))
	s, err := store.Open(path, store.Options{})
	w.must(err)
	defer func() { w.must(s.Close()) }()
	for _, wrong := range s.Verify(true) {
		w.t.Errorf("the backup: %s", wrong)
	}
	heads, err := s.Sendings(store.Filter{})
	w.must(err)
	known, unsure = map[string]bool{}, map[string]bool{}
	for _, head := range heads {
		if head.Name != "a" {
			continue
		}
		var rows campaign.Rows
		for chunk := uint32(0); chunk*campaign.ChunkRows < head.Rows.Accepted; chunk++ {
			marks, err := s.Rows(head.ID, chunk, &rows, nil)
			w.must(err)
			for i, m := range marks {
				message := fmt.Sprintf("%d-%d", rows.Lines[i/head.Messages], i%head.Messages+1)
				switch m.Outcome() {
				case campaign.Sent:
					known[message] = true
				case campaign.InFlight:
					unsure[message] = true
				}
			}
		}
	}
	return known, unsure
}

// heldAndQuiet checks that n sendings are held, give the restored store as the reason, and send nothing.
func (w *world) heldAndQuiet(n int) {
	w.t.Helper()
	before, _ := w.hook.count()
	out, err := w.run("status", "--json")
	w.must(err)
	var status struct{ Sendings map[string]int }
	w.must(json.Unmarshal([]byte(out), &status))
	if status.Sendings["held"] != n {
		w.t.Errorf("%d sendings are held, want %d: %s", status.Sendings["held"], n, out)
	}
	out, err = w.run("show", "a", "--json")
	w.must(err)
	if !strings.Contains(out, "the store was restored") {
		w.t.Errorf("show gives no reason for the hold: %s", out)
	}
	w.until(5*time.Second, "status.json says held", func() bool {
		_, path := w.folder("a")
		data, err := os.ReadFile(filepath.Join(path, "status.json"))
		return err == nil && strings.Contains(string(data), "the store was restored")
	})
	programs.Until(300*time.Millisecond, func() bool { return false })
	if now, _ := w.hook.count(); now != before {
		w.t.Errorf("%d messages went out while everything was held", now-before)
	}
}

// timesOf counts the deliveries of a sending's message.
func timesOf(got map[string]int, id, message string) int {
	for key, n := range got {
		if strings.HasPrefix(key, id+"-"+message+"-") {
			return n
		}
	}
	return 0
}

// killHolding kills a daemon that holds the sendings of a restored store, before it removes the restore mark.
func killHolding(t *testing.T) {
	w := newWorld(t, settings{rate: 2000})
	w.start().ready()
	d := w.drop("a", viaHook, 2000, 0, "")
	w.restore()
	w.start("CAMPAIGND_FAILPOINT=restored-held:1").killed(20 * time.Second)
	w.start().ready()
	w.heldAndQuiet(1)
	if _, err := w.run("resume", "--all"); err != nil {
		t.Fatal(err)
	}
	w.ended(30*time.Second, d)
	w.deliveries(w.balance(d), w.hook.delivered(t))
	w.doctor()
}
