package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// fullDisk takes some bytes and refuses all writes after that.
type fullDisk struct{ left, writes int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.writes++; len(p) > d.left {
		d.left = 0
		return 0, errors.New("no space left on device")
	}
	d.left -= len(p)
	return len(p), nil
}

// TestOutputThatCantBeWrittenFailsTheCommand: also where only the first part of it fits.
func TestOutputThatCantBeWrittenFailsTheCommand(t *testing.T) {
	config := serve(t, &shop{})
	for _, args := range [][]string{{"show", "spring"}, {"show", "spring", "--json"}, {"status"}, {"suppress", "list"}} {
		for _, room := range []int{0, 100} {
			var errs bytes.Buffer
			disk := &fullDisk{left: room}
			code := run(t.Context(), append([]string{"--config", config}, args...), strings.NewReader(""), disk, &errs, func(string) string { return "" })
			if code != exitFailed {
				t.Errorf("%v with room for %d bytes: exit status %d, want %d", args, room, code, exitFailed)
			}
			if want := "campaignd: print: no space left on device\n"; errs.String() != want {
				t.Errorf("%v with room for %d bytes: stderr %q, want %q", args, room, errs.String(), want)
			}
		}
	}
}
