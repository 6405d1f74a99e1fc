package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/failpoint"
)

// TestFailpointsInTurn is the short form of TestFailpoints: one installation dies at each failpoint in
// turn, with a fresh drop each time beside the drops that earlier deaths left.
func TestFailpointsInTurn(t *testing.T) {
	w := newWorld(t, settings{rate: 20_000})
	other := map[failpoint.Name]bool{failpoint.GivenBack: true, failpoint.Replanned: true, failpoint.Reopened: true, failpoint.RestoredHeld: true,
		failpoint.StoreMade: true, failpoint.Stripped: true, failpoint.Forgotten: true, failpoint.CompactCopied: true, failpoint.CompactSwapped: true,
		failpoint.UploadReceived: true, failpoint.UploadDecided: true, failpoint.UploadAnswered: true}
	var drops []drop
	wrong := map[string]bool{}
	for i, name := range failpoint.Names() {
		if other[name] {
			continue // needs a scenario of its own, in TestFailpoints or TestUploadsKilled
		}
		d := w.prepare(fmt.Sprint("drop", i), viaHook, 50, 2, "")
		switch name {
		case failpoint.Refused:
			d.files[d.name+".csv"] = "phone,name\n1,2\n"
			wrong[d.name] = true
		case failpoint.Finalized, failpoint.Obeyed, failpoint.ControlMoved:
			d = w.prepare(d.name, viaHook, 50, 2, `,"delay":"PT2H"`)
			w.must(os.WriteFile(filepath.Join(w.inbox, d.name+".cancel"), nil, 0o644))
		}
		drops = append(drops, d)
		if i == 0 {
			w.start("CAMPAIGND_FAILPOINT=store-made:1").killed(20 * time.Second)
			w.start().ready().kill()
		}
		p := w.start("CAMPAIGND_FAILPOINT=" + string(name) + ":1")
		w.place(d)
		p.killed(20 * time.Second)
	}
	w.look()
	w.start().ready()
	got := 0
	for _, d := range drops {
		w.ended(30*time.Second, d)
		e := w.balance(d)
		got += w.deliveries(e, w.hook.delivered(t))
		if (e.state == "rejected") != wrong[d.name] {
			t.Errorf("%s: %s", d.name, e.describe())
		}
		if n := e.counts["sent"] + e.counts["canceled"]; !wrong[d.name] && n != d.rows {
			t.Errorf("%s: %s", d.name, e.describe())
		}
	}
	t.Logf("%d deaths, %d messages delivered twice", w.runs-2, got)
	w.until(5*time.Second, "tidy", func() bool { return !anyIn(filepath.Join(w.inbox, "accepted")) })
	w.tidy()
	w.doctor()
}
