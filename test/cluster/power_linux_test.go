package cluster

import (
	"path/filepath"
	"testing"

	"campaignd/test/disk"
)

func TestNATSLosesPower(t *testing.T) {
	t.Parallel()
	fault{name: "the NATS server loses power", short: true, storage: onDisk, strike: func(s *scene) {
		s.power.cut()
		s.nodes[0].kill()
		s.power.remount()
		s.nodes[0] = s.server(0, s.stores[0])
	}}.play(t)
}

func onDisk(t *testing.T) storage {
	d := disk.New(t, "256M")
	return storage{dir: filepath.Join(d.At, "nats"), cut: d.Cut, remount: d.Remount}
}
