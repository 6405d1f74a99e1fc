//go:build !failpoints

package failpoint

// Enabled reports whether this build can fail on request.
const Enabled = false

// At marks a step that is done.
func At(Name) {}

// Err marks a step that is about to be done and can fail; it returns the error of that failure.
func Err(Name) error { return nil }

// Setting returns a switch for tests, "" in a build without them.
func Setting(string) string { return "" }
