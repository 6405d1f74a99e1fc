package cluster

import (
	"path/filepath"
	"testing"

	"campaignd/test/disk"
)

// The file system of a NATS server loses all that isn't synced.
func TestNATSLosesPower(t *testing.T) {
	for _, f := range []fault{
		{name: "a single server", short: true, storage: onDisk, strike: losePower},
		{name: "one of three servers", servers: 3, storage: onDisk, strike: losePower},
	} {
		f.test(t)
	}
}

func losePower(s *scene) {
	n := len(s.nodes) - 1
	s.power.cut()
	s.nodes[n].kill()
	s.power.remount()
	s.nodes[n] = s.server(n, s.stores[n])
}

func onDisk(t *testing.T) storage {
	d := disk.New(t, "256M")
	return storage{dir: filepath.Join(d.At, "nats"), cut: d.Cut, remount: d.Remount}
}

// The file system of the hub's store loses all that isn't synced, or fails.
func TestTakeoversOfAHubThatLosesItsDisk(t *testing.T) {
	testTakeovers(t, []accident{
		{name: "without power", site: site{disk: onDisk}, strike: func(p *pair) { p.power.cut(); p.host.kill(); p.power.remount() }},
		{name: "without its disk", site: site{disk: onDisk}, strike: func(p *pair) { p.power.cut() }},
	})
}
