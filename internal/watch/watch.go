package watch

import (
	"log/slog"
	"time"

	"campaignd/internal/campaign"
)

// Schedule returns the time of the next rescan. calendar.Schedule implements it.
type Schedule interface {
	// Next returns the first instant later than after, or the zero time if there is none.
	Next(after time.Time) time.Time
}

// Options configure a Watcher (docs/contract.md 2 and 11).
type Options struct {
	Path           string         // the inbox folder
	Settle         time.Duration  // a file unchanged for this long is settled
	SidecarWait    time.Duration  // from a settled CSV and layout to ready, without a sidecar
	PairTimeout    time.Duration  // from the first sighting of the oldest part to incomplete
	RequireSidecar bool           // never ready without a sidecar
	DefaultLayout  bool           // the inbox has a layout for drops that bring none
	NoteAfter      time.Duration  // a file unchanged for this long that waits gets a note; 0: never
	Zone           *time.Location // of the times in notes; nil: UTC
	Ignore         []string       // path.Match patterns of names to ignore
	Rescan         Schedule       // nil: every 10s
	NoEvents       bool           // rescan only, without inotify; for tests with virtual time
	Log            *slog.Logger   // nil: no logs
}

// File is a file in the inbox under its own name.
type File struct {
	Name string
	ID   campaign.FileID
}

// Drop holds the files of one base name as one scan saw them.
type Drop struct {
	Inbox string // Options.Path
	Name  string

	// Parts that can be taken: regular files with one link. nil means absent.
	CSV, Layout, Sidecar *File
	// Others have a part's name but can't be taken: links, FIFOs, folders,
	// unreadable files, two spellings of one part. Never open them.
	Others []File

	// Near are files that are probably its missing parts under other names.
	Near []File

	FirstSeen  time.Time // first sighting of the oldest part, with monotonic reading
	QuietSince time.Time // time of the last change of any file, with monotonic reading

	// Problems lists why the drop is not ready, for Incomplete and Refused.
	Problems []campaign.Problem
}

// Files returns all files of the drop: CSV, layout, sidecar, others, near misses.
func (d *Drop) Files() []File {
	var all []File
	for _, f := range []*File{d.CSV, d.Layout, d.Sidecar} {
		if f != nil {
			all = append(all, *f)
		}
	}
	return append(append(all, d.Others...), d.Near...)
}

// Action is the command that a control file gives (docs/contract.md 10).
type Action string

// The actions.
const (
	ActionPause      Action = "pause"
	ActionResume     Action = "resume"
	ActionCancel     Action = "cancel"
	ActionReschedule Action = "reschedule" // File is a JSON object with the new time
	ActionResults    Action = "results"    // write the results so far
	ActionSuppress   Action = "suppress"   // File is a CSV of opt-outs; never with an ID
)

// Control is a settled control file, such as NAME.pause, NAME.ID.cancel or NAME.suppress.csv.
type Control struct {
	Inbox     string
	Name      string      // base name of the sendings it applies to
	ID        campaign.ID // "" unless the file names one
	Action    Action
	File      File
	FirstSeen time.Time

	// Beside and WholeBeside: files of a drop called Name, or Name.ID, are in the inbox.
	Beside, WholeBeside bool
}

// Handler receives what the watcher finds. Each method must return at once and do its work
// elsewhere, because no file of the inbox is looked at meanwhile. Each is called again at later
// scans for as long as the files are there, so the handler must recognize files by File.ID. All
// calls come from Run's goroutine.
type Handler interface {
	// Ready receives a drop that can be claimed.
	Ready(Drop)
	// Incomplete receives a drop that lacked a part for longer than
	// PairTimeout. Problems names the part.
	Incomplete(Drop)
	// Refused receives a drop, or a single control file in Others, that can't be
	// taken. Problems gives the reason and Others holds the faulty files.
	Refused(Drop)
	// Control receives a settled control file.
	Control(Control)
	// BadName receives a settled file whose name can't be used, with the reason.
	BadName(inbox string, file File, why string)
	// Notes receives, after every scan, the notes that the inbox should have now: the
	// oldest, at most MaxNotes.
	Notes(inbox string, notes []Note)
}

// Note is what a person should read next to a file that waits (docs/contract.md 2, every file gets
// an answer).
type Note struct {
	Name   string // of the drop, or of the file; the note's name is Name + NoteExtension
	Reason string // the text without times: a note is written once for each reason
	Text   string
}

// MaxNotes bounds the notes of an inbox.
const MaxNotes = 100

// Counts holds the result of the last scan, for status and metrics.
type Counts struct {
	Pending  int       // drops and control files waiting for something
	Ready    int       // drops and control files handed over and still there
	Troubled int       // drops and control files refused or incomplete and still there
	Ignored  int       // files ignored for good
	Foreign  int       // files that belong to no drop
	BadNames int       // files with a part's extension and an invalid base name
	Untaken  int       // files not looked at yet because too many are pending
	Missing  bool      // the inbox folder can't be opened; Err holds the cause
	Err      string    // error that made the last scan incomplete, "" if none
	Events   bool      // inotify works; without it only rescans notice files
	LookedAt time.Time // end of the last full scan
}
