package failpoint

import "testing"

// TestOffCostsNothing: a build without the tag allocates and does nothing at a step.
func TestOffCostsNothing(t *testing.T) {
	if Enabled {
		t.Skip("built with failpoints")
	}
	if n := testing.AllocsPerRun(100, func() {
		At(Accepted)
		if err := Err(Sync); err != nil {
			t.Fatal(err)
		}
		if Setting("X") != "" {
			t.Fatal("a setting in a usual build")
		}
	}); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// TestNames: every step has a name of its own, so that a test kills where it says.
func TestNames(t *testing.T) {
	seen := map[Name]bool{}
	for _, name := range Names() {
		if name == "" {
			t.Error("name is empty")
		}
		if seen[name] {
			t.Error("seen[name] = true, want false")
		}
		seen[name] = true
	}
}
