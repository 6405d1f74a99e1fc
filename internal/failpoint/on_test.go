//go:build failpoints

package failpoint

import (
	"errors"
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	m, err := parse("accepted:3,sync:2-4:EIO,write:5+:ENOSPC,filed:1:wait")
	if err != nil {
		t.Fatal(err)
	}
	if f := m[Accepted][0]; f.from != 3 || f.to != 3 || f.how != "" {
		t.Errorf("%+v", f)
	}
	if f := m[Sync][0]; f.from != 2 || f.to != 4 || !errors.Is(f.fire(Sync), syscall.EIO) {
		t.Errorf("%+v", f)
	}
	if f := m[Write][0]; f.from != 5 || f.to < 1<<60 || !errors.Is(f.fire(Sync), syscall.ENOSPC) {
		t.Errorf("%+v", f)
	}
	if f := m[Filed][0]; f.how != "wait" {
		t.Errorf("%+v", f)
	}
	for _, bad := range []string{"accepted", "accepted:x", "accepted:1:EWHAT", "a:1:EIO:2", "a:1-x:EIO"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
