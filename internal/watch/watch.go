package watch

import (
	"log/slog"
	"time"

	"campaignd/internal/campaign"
)

// Schedule says when the next rescan is due; calendar.Schedule is one.
type Schedule interface {
	// Next is the first instant after after; the zero time if there is none.
	Next(after time.Time) time.Time
}

// Options say what is watched and how (SPEC 2, SPEC 11).
type Options struct {
	Path           string        // the inbox folder
	Settle         time.Duration // a file unchanged for this long is settled
	SidecarWait    time.Duration // from a settled CSV and layout to ready, without a sidecar
	PairTimeout    time.Duration // from the first sighting of the oldest part to incomplete
	RequireSidecar bool          // never ready without a sidecar
	Ignore         []string      // path.Match patterns of names to ignore
	Rescan         Schedule      // nil: every 10s
	NoEvents       bool          // no inotify, rescans alone: for tests in a bubble of virtual time
	Log            *slog.Logger  // nil: no logs
}

// File is a file as it lies in the inbox, by its own name.
type File struct {
	Name string
	ID   campaign.FileID
}

// Drop is the files of one base name, as they were at one look.
type Drop struct {
	Inbox string // Options.Path
	Name  string

	// The parts that can be taken: regular files with one name. nil: not there.
	CSV, Layout, Sidecar *File
	// Others have a part's name but can't be taken as one: links, FIFOs,
	// folders, unreadable files, two spellings of one part. Never open them.
	Others []File

	FirstSeen  time.Time // when the oldest part was first seen; with monotonic reading
	QuietSince time.Time // since when none of the files has changed; with monotonic reading

	// Trouble says why the drop is not ready, for Incomplete and Refused.
	Problems []campaign.Problem
}

// Files are all files of the drop: CSV, layout, sidecar, others.
func (d *Drop) Files() []File {
	var all []File
	for _, f := range []*File{d.CSV, d.Layout, d.Sidecar} {
		if f != nil {
			all = append(all, *f)
		}
	}
	return append(all, d.Others...)
}

// Action is what a control file asks for (SPEC 10).
type Action string

// The actions.
const (
	ActionPause    Action = "pause"
	ActionResume   Action = "resume"
	ActionCancel   Action = "cancel"
	ActionSuppress Action = "suppress" // File is a CSV of opt-outs; never with an ID
)

// Control is a settled control file: NAME.pause, NAME.ID.cancel, NAME.suppress.csv ...
type Control struct {
	Inbox     string
	Name      string      // the base name of the sendings it is about
	ID        campaign.ID // "" unless the file names one
	Action    Action
	File      File
	FirstSeen time.Time

	// Beside and WholeBeside: files of a drop called Name, or Name.ID, lie in the inbox.
	Beside, WholeBeside bool
}

// Handler is told what was found. Each method returns at once: it notes what is
// to be done and leaves the doing to others, since no file of the inbox is
// looked at meanwhile. Each is called again at later looks for as long as the
// files are there, so it must know what it was told before (by File.ID). All
// calls come from Run's goroutine.
type Handler interface {
	// Ready is called with a drop that can be claimed.
	Ready(Drop)
	// Incomplete is called with a drop that lacked something for longer than
	// PairTimeout; Trouble says what.
	Incomplete(Drop)
	// Refused is called with a drop, or a control file alone in Others, that
	// can't be taken as it is; Trouble says why, Others holds what is at fault.
	Refused(Drop)
	// Control is called with a settled control file.
	Control(Control)
}

// Counts is what the last look found, for status and metrics.
type Counts struct {
	Pending  int           // drops and control files waiting for something
	Ready    int           // drops and control files handed over and still there
	Troubled int           // drops and control files refused or incomplete and still there
	Ignored  int           // files ignored for good
	Foreign  int           // files that are no part of anything
	BadNames int           // files with a part's extension and a name that can't be one
	Untaken  int           // files not looked at yet, for too many are pending
	Missing  bool          // the inbox folder can't be opened; Err says why
	Err      string        // what keeps the last look from being whole; "" if nothing
	Events   bool          // inotify works; without it the rescans alone notice
	LookedAt time.Time     // when the last full look ended
	Took     time.Duration // how long it took
}
