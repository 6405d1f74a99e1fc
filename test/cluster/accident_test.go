package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// moment is what the hub is doing when the accident happens.
type moment struct {
	name  string
	point string                              // the failpoint at which the hub waits for the accident; "": wherever it is
	begin func(p *pair, from, channel string) // starts everything; nil: as usual
	bring func(p *pair)                       // brings the hub there when the campaign has been dropped; nil: the drop does
	later func(p *pair)                       // what a person does when the standby leads; nil: nothing
}

// moments are those of a campaign's life and of the store's upkeep.
var moments = []moment{
	{name: "sends", bring: func(p *pair) {
		p.arrived(20 + p.random.IntN(takeoverRows/2))
		p.lasts(time.Duration(p.random.IntN(100)) * time.Millisecond)
	}},
	{name: "claims", point: "file-moved:2"},
	{name: "stores rows", point: "rows-stored:1"},
	{name: "plans", point: "slots-booked:1"},
	{name: "has recorded attempts", point: "attempts-committed:5"},
	{name: "records results", point: "results-decided:5"},
	{name: "compacts", point: "compact-copied:1", bring: compacts},
	{name: "swaps a compacted store", point: "compact-swapped:1", bring: compacts},
	{name: "migrates", point: "store-commit:1", begin: beginOlder, later: func(p *pair) {
		_, err := p.onStandby("resume", "spring")
		p.must(err)
	}},
}

// accident befalls the hub.
type accident struct {
	name string
	site
	strike  func(p *pair) // the hub is gone when it returns, or nobody hears of it
	repair  func(p *pair) // after the takeover; nil: nothing
	deposed bool          // the hub lives on, and ends when it learns that the standby leads
	late    int           // messages that a hub that lives on may still send: they had been handed over
	limit   time.Duration // until something is sent again; 0: takeoverLimit
}

// accidents are what a standby is there for.
var accidents = []accident{
	{name: "killed", strike: func(p *pair) { p.host.kill() }},
	{name: "frozen", strike: func(p *pair) { p.host.signal(syscall.SIGSTOP) }, repair: func(p *pair) { p.host.signal(syscall.SIGCONT) }, deposed: true, late: concurrency},
	{name: "cut off", site: site{links: true}, strike: func(p *pair) { each(p.hubLinks, (*link).cut) }, repair: func(p *pair) { each(p.hubLinks, (*link).open) }, deposed: true},
	{name: "cut off in silence", site: site{links: true}, strike: func(p *pair) { each(p.hubLinks, (*link).hush) }, repair: func(p *pair) { each(p.hubLinks, (*link).speak) }, deposed: true},
	{name: "killed while the standby is cut off", site: site{links: true}, strike: func(p *pair) {
		each(p.standbyLinks, (*link).cut)
		p.host.kill()
		p.lasts(p.upTo(6 * time.Second))
		each(p.standbyLinks, (*link).open)
	}},
	{name: "killed with one of three NATS servers", site: site{servers: 3}, strike: func(p *pair) {
		p.host.kill()
		p.lasts(p.upTo(4 * time.Second))
		p.lost = p.random.IntN(len(p.nodes))
		p.nodes[p.lost].kill()
	}, repair: func(p *pair) { p.nodes[p.lost] = p.server(p.lost, p.natsDir(p.lost)) }, limit: 15 * time.Second}, // the others elect leaders within four to nine
}

func each(list []*link, do func(*link)) {
	for _, l := range list {
		do(l)
	}
}

// gate names the file for which the hub waits at its failpoint.
func (p *pair) gate() string { return filepath.Join(p.dir, "gate") }

// reached waits until the hub is at its failpoint.
func (p *pair) reached() {
	p.t.Helper()
	p.until(20*time.Second, "the hub is at its failpoint", func() bool {
		_, err := os.Stat(p.gate() + ".reached")
		return err == nil
	})
}

// compacts compacts the hub's store while it sends.
func compacts(p *pair) {
	p.arrived(20 + p.random.IntN(takeoverRows/4))
	p.start("compact", nil, binary, "compact", "--config", p.config)
}

// beginOlder starts a hub whose store, and its standby's, is of an older version and has a campaign that is paused.
func beginOlder(p *pair, from, channel string) {
	failures := p.failures
	p.failures = nil
	p.begin()
	p.workersFor(from)
	p.drop("spring", channel, takeoverRows)
	p.arrived(50)
	_, err := p.run("pause", "spring")
	p.must(err)
	p.until(20*time.Second, "nothing is in flight", func() bool { return p.status().Queue.InFlight == 0 })
	p.follows(p.config, p.standby)
	p.host.signal(syscall.SIGSTOP) // so that neither goes on without the other
	p.second.kill()
	p.host.kill()
	p.makeOlder(p.state)
	p.makeOlder(filepath.Join(p.dir, "standby"))
	p.failures = failures
	p.startHub()
	p.reached()
	p.follow("")
}

// makeOlder turns the store in a folder into one of version 5: the next one adds a bucket. Saved stores of older
// versions (internal/store/testdata) don't do, because hub and standby need the same one with an epoch, and
// versions before 5 had none. Nor does a build with a migration less: its code needs the bucket.
// TestAnUpgradeOfBothWithAMigration goes the other way, with a build of a next version.
func (p *pair) makeOlder(state string) {
	p.t.Helper()
	db, err := bbolt.Open(filepath.Join(state, "campaignd.db"), 0o600, nil)
	p.must(err)
	p.must(db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("meta")).Put([]byte("version"), []byte{0, 0, 0, 5}), tx.DeleteBucket([]byte("attempts")))
	}))
	p.must(db.Close())
}
