package filing

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIsControl(t *testing.T) {
	for name, want := range map[string]bool{
		"a.suppress.csv": true, "a.suppress.csv.report.txt": true, "a.suppress.csv.20260314T120000Z": true, "a.cancel.20260314T120000Z.2": true,
		"a.20260314-000042.pause.2.report.txt": true, "a.CANCEL": true, "a.csv": false, "notes.txt": false, "report.txt": false, "a": false, "": false,
		"a..2": false, "2.3": false, ".report.txt": false,
	} {
		if got := isControl(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
