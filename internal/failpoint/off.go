//go:build !failpoints

package failpoint

// Enabled says whether this build can fail on request.
const Enabled = false

// At marks a step that is done.
func At(Name) {}

// Err marks a step that is about to be done and can fail: an error stands for it.
func Err(Name) error { return nil }

// Setting is a switch for tests, "" in a build without them.
func Setting(string) string { return "" }
