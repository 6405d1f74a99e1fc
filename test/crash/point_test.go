package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campaignd/internal/failpoint"
	"campaignd/test/programs"
)

// TestFailpoints kills the daemon at every failpoint, at its first and at a later pass, and
// restarts it. All drops end the same way, whatever the failpoint.
func TestFailpoints(t *testing.T) {
	long(t) // TestFailpointsInTurn is the short form
	special := map[failpoint.Name]func(*testing.T){
		failpoint.GivenBack:    killGivingBack,
		failpoint.Replanned:    killReplanning,
		failpoint.Reopened:     killReopening,
		failpoint.StoreMade:    killMakingStore,
		failpoint.RestoredHeld: killHolding,
		failpoint.Stripped:     func(t *testing.T) { killTidying(t, "stripped:1") },
		failpoint.Forgotten:    func(t *testing.T) { killTidying(t, "forgotten:1") },

		failpoint.UploadReceived: func(t *testing.T) { killUploading(t, "upload-received:1") },
		failpoint.UploadDecided:  func(t *testing.T) { killUploading(t, "upload-decided:1") },
		failpoint.UploadAnswered: func(t *testing.T) { killUploading(t, "upload-answered:1") },

		failpoint.CompactCopied:  func(t *testing.T) { killCompacting(t, "compact-copied:1") },
		failpoint.CompactSwapped: func(t *testing.T) { killCompacting(t, "compact-swapped:1") },
	}
	later := map[failpoint.Name]int{failpoint.FileMoved: 2, failpoint.AttemptsCommitted: 3, failpoint.ResultsDecided: 3,
		failpoint.DriverReturned: 40, failpoint.HandedOver: 40, failpoint.StoreCommit: 7, failpoint.Accepted: 2, failpoint.Filed: 2,
		failpoint.StatusWritten: 3, failpoint.ReportsWritten: 2, failpoint.FolderMoved: 2, failpoint.Sync: 9, failpoint.SyncDir: 11,
		failpoint.Rename: 6, failpoint.Write: 5, failpoint.Create: 5, failpoint.ResultsCommitted: 4, failpoint.Finished: 2}
	for _, name := range failpoint.Names() {
		if test := special[name]; test != nil {
			t.Run(string(name), func(t *testing.T) { t.Parallel(); test(t) })
			continue
		}
		passages := []int{1}
		if n := later[name]; n > 0 {
			passages = append(passages, n)
		}
		if name == failpoint.StoreCommit {
			for n := 2; n <= 30; n++ { // every transaction of a drop
				passages = append(passages, n)
			}
		}
		for _, n := range passages {
			point := fmt.Sprintf("%s:%d", name, n)
			t.Run(point, func(t *testing.T) { t.Parallel(); killAt(t, point) })
		}
	}
}

// killAt kills the daemon with a drop of every kind under way, and checks all of them after the next run.
func killAt(t *testing.T, point string) {
	w := newWorld(t, settings{rate: 4000, slot: 200})
	w.start().ready().kill() // creates the store
	p := w.start("CAMPAIGND_FAILPOINT=" + point)
	drops := map[string]drop{}
	add := func(d drop) { drops[d.name] = d }
	add(w.drop("mixed", viaHook, 300, 3, ""))
	add(w.drop("slotted", sliced, 300, 0, ""))
	add(w.drop("held", viaHold, 100, 0, ""))
	add(w.drop("two", viaOutbox, 50, 0, ""))
	later := w.drop("later", sliced, 40, 0, `,"delay":"PT8M","reference":"r"`) // reserves slots until it is canceled
	add(later)
	wrong := w.prepare("wrong", viaHook, 5, 0, "")
	wrong.files["wrong.csv"] = "phone,name\n1,2\n"
	w.place(wrong)
	add(wrong)
	// The cancel is dropped once its sending is known, by whichever process is alive then.
	canceled := make(chan struct{})
	go func() {
		defer close(canceled)
		programs.Until(20*time.Second, func() bool { place, _ := w.folder("later"); return place != "" })
		_ = os.WriteFile(filepath.Join(w.inbox, "later.cancel"), nil, 0o644) // a failure would show below
	}()
	p.killed(20 * time.Second)
	inFlight := w.look()
	p = w.start().ready()
	<-canceled
	for _, d := range drops {
		w.ended(20*time.Second, d)
	}
	w.until(5*time.Second, "tidy", func() bool {
		entries, err := os.ReadDir(w.inbox)
		return err == nil && len(entries) == 5 && !anyIn(filepath.Join(w.inbox, "accepted"))
	})
	got := w.hook.delivered(t)
	keys, _ := w.outboxKeys()
	for name, d := range drops {
		e := w.balance(d)
		switch name {
		case "wrong":
			if e.state != "rejected" || e.place != "failed" {
				t.Errorf("wrong: %s; want it rejected, in failed/", e.describe())
			}
			continue
		case "later":
			if e.state != "canceled" || e.counts["canceled"] != d.rows {
				t.Errorf("later: %s; want it canceled with all %d messages", e.describe(), d.rows)
			}
		case "two":
			if twice := w.deliveries(e, keys); e.counts["sent"] != d.rows*2 || uint64(twice) > inFlight {
				t.Errorf("two: %s, %d twice; want %d sent and at most %d twice, which were in flight", e.describe(), twice, d.rows*2, inFlight)
			}
			continue
		case "held":
			if e.counts["sent"]+e.counts["unknown"] != d.rows || uint64(e.counts["unknown"]) > inFlight {
				t.Errorf("held: %s; want %d sent or unknown, and at most %d unknown, which were in flight", e.describe(), d.rows, inFlight)
			}
		default:
			if e.counts["sent"] != d.rows || e.state != "completed" {
				t.Errorf("%s: %s; want it completed with %d sent", name, e.describe(), d.rows)
			}
		}
		if twice := w.deliveries(e, got); uint64(twice) > inFlight || name == "held" && twice > 0 {
			t.Errorf("%s: %d delivered twice, %d were in flight", name, twice, inFlight)
		}
	}
	w.tidy()
	w.doctor()
	p.stop()
	if n := w.look(); n != 0 {
		t.Errorf("%d messages are in flight after an orderly stop", n)
	}
}

// anyIn reports whether an inbox's folder holds more than the inbox's id.
func anyIn(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != inboxID })
}

// killGivingBack kills the daemon after it has undone a claim and before it records that.
func killGivingBack(t *testing.T) {
	w := newWorld(t, settings{})
	w.start().ready().kill()
	p := w.start("CAMPAIGND_FAILPOINT=syncdir:1+:EIO,given-back:1")
	d := w.drop("a", viaHook, 20, 0, "")
	p.killed(20 * time.Second)
	w.start().ready()
	w.ended(20*time.Second, d)
	if e := w.balance(d); e.counts["sent"] != 20 {
		t.Error(e.describe())
	}
	w.tidy()
	w.doctor()
}

// killReplanning kills the daemon while it plans the rest of a passed slot again.
func killReplanning(t *testing.T) {
	w := newWorld(t, settings{slot: 30, rate: 200})
	w.start().ready().kill()
	p := w.start()
	d := w.drop("a", sliced, 90, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 0 })
	p.kill()
	programs.Until(2500*time.Millisecond, func() bool { return false }) // slots pass while the daemon is down
	w.start("CAMPAIGND_FAILPOINT=replanned:1").killed(20 * time.Second)
	inFlight := w.look()
	w.start().ready()
	w.ended(30*time.Second, d)
	e := w.balance(d)
	if e.counts["sent"] != 90 {
		t.Error(e.describe())
	}
	if twice := w.deliveries(e, w.hook.delivered(t)); twice > 32 {
		t.Errorf("%d delivered twice; %d in flight at the second kill", twice, inFlight)
	}
	w.tidy()
	w.doctor()
}

// killReopening kills the daemon when it reopens a finished sending whose folder is still in done/.
func killReopening(t *testing.T) {
	w := newWorld(t, settings{concurrency: 8})
	w.start().ready().kill()
	p := w.start("CAMPAIGND_FAILPOINT=driver-returned:3")
	d := w.drop("a", viaHold, 40, 0, "")
	p.killed(20 * time.Second)
	p = w.start().ready()
	w.ended(20*time.Second, d)
	before := w.balance(d)
	if before.counts["unknown"] == 0 {
		t.Fatal(before.describe())
	}
	p.stop()
	p = w.start("CAMPAIGND_FAILPOINT=reopened:1").ready()
	if _, err := w.run("resend", before.id, "--unknown"); err == nil {
		t.Error("resend reported success")
	} else if strings.Contains(err.Error(), "unknown flag") {
		t.Fatal(err)
	}
	p.killed(5 * time.Second)
	w.start().ready()
	w.until(10*time.Second, "filed", func() bool { place, _ := w.folder("a"); return place == "done" })
	if _, err := w.run("resend", before.id, "--unknown"); err != nil {
		t.Fatal(err)
	}
	w.until(10*time.Second, "sent again", func() bool {
		place, path := w.folder("a")
		data, err := os.ReadFile(filepath.Join(path, "report.json"))
		return place == "done" && err == nil && strings.Contains(string(data), `"unknown": 0`)
	})
	if e := w.balance(d); e.counts["sent"] != 40 {
		t.Error(e.describe())
	}
	w.tidy()
	w.doctor()
}

// killMakingStore kills the daemon before the new store has its final name.
func killMakingStore(t *testing.T) {
	w := newWorld(t, settings{})
	d := w.drop("a", viaHook, 20, 0, "")
	w.start("CAMPAIGND_FAILPOINT=store-made:1").killed(20 * time.Second)
	w.start().ready()
	w.ended(20*time.Second, d)
	if e := w.balance(d); e.counts["sent"] != 20 {
		t.Error(e.describe())
	}
	entries, err := os.ReadDir(w.state)
	w.must(err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".new") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	w.doctor()
}
