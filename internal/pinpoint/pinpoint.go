// Package pinpoint says where in a text something stands and which known name
// an unknown one was likely meant to be. It exists because both the
// configuration and the dropped documents locate their errors alike.
package pinpoint

// Position is the line and column (both from 1, column in characters) of byte
// offset in data.
func Position(data []byte, offset int) (line, column int) { panic("being built") }

// Nearest is the one of known that is most like name, "" if none is near.
// Case is ignored. (Edit distance of at most a third of the longer name, at least 1.)
func Nearest(name string, known []string) string { panic("being built") }
