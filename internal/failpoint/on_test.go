//go:build failpoints

package failpoint

import (
	"fmt"
	"testing"
)

func TestParse(t *testing.T) {
	m, err := parse("accepted:3,sync:2-4:EIO,write:5+:ENOSPC,filed:1:wait")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[Name]string{
		Accepted: `3 to 3: "", <nil>`,
		Sync:     `2 to 4: "EIO", input/output error`,
		Write:    `5 to 9223372036854775807: "ENOSPC", no space left on device`,
		Filed:    `1 to 1: "wait", <nil>`,
	} {
		f := m[name][0]
		if got := fmt.Sprintf("%d to %d: %q, %v", f.from, f.to, f.how, f.err); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for _, bad := range []string{"accepted", "accepted:x", "accepted:1:EWHAT", "a:1:EIO:2", "a:1-x:EIO"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("parse %q: got no error, want one", bad)
		}
	}
}
