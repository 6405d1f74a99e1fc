package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// Instants in this file are durations since Run began, by the monotonic clock:
// a wall clock that jumps settles nothing.
const (
	never  = time.Duration(1<<63 - 1)
	notYet = time.Duration(-1)
)

// part is a file with the name of a drop's part or of a control file.
type part struct {
	kind  Kind
	file  File
	mode  fs.FileMode
	links uint64

	first    time.Duration // first sighting of this inode under this name
	since    time.Duration // first sighting of its present state
	seen     time.Duration // last sighting of its present state
	busy     bool          // open for writing at the last lease request
	openErr  error         // error of opening it then
	deniedAt time.Duration // first time that permission was denied, or notYet
	scanNo   uint64        // number of the last scan that saw it
}

// saw records a sighting: asked is the time before the file was looked at, answered the time
// after. It reports whether anything has changed.
func (p *part) saw(st safeio.Stat, asked, answered time.Duration) bool {
	if st.ID == p.file.ID && st.Links == p.links && st.Mode == p.mode {
		p.seen = max(p.seen, asked)
		return false
	}
	if st.ID.Inode != p.file.ID.Inode || st.ID.Device != p.file.ID.Device {
		p.first = answered // another file has this name now, perhaps after a claim
	}
	p.file.ID, p.links, p.mode = st.ID, st.Links, st.Mode
	p.changed(answered)
	return true
}

// changed restarts the part's quiet time.
func (p *part) changed(now time.Duration) {
	p.since, p.seen, p.deniedAt = now, now, notYet
	p.busy, p.openErr = false, nil
}

func (p *part) stat() safeio.Stat { return safeio.Stat{ID: p.file.ID, Mode: p.mode, Links: p.links} }

// key identifies items: drops by base name, control files by their own name.
type key struct{ base, control string }

func keyOf(n Name, file string) key {
	if n.Kind == KindControl || n.Kind == KindBadName {
		return key{n.Base, file}
	}
	return key{base: n.Base}
}

// item is a pending drop or control file.
type item struct {
	name       Name // of a drop only Base is used
	parts      []*part
	settledAt  time.Duration // when CSV and layout were both settled, or notYet
	due        time.Duration // when time alone may change the decision
	last       step          // last decision
	loggedStep step          // last decision that was logged
	near       []File        // probably its missing parts; it waits for them to be renamed
	upload     string        // temporary file that it waits for, "" if none
	touched    uint64        // number of the last scan that has to judge it
}

func (it *item) control() bool { return it.name.Kind == KindControl }

// single reports whether the item is one file and no drop: a control file or a bad name.
func (it *item) single() bool { return it.control() || it.name.Kind == KindBadName }

// nameOf returns the parsed name of a part.
func (it *item) nameOf(p *part) Name {
	n := it.name
	n.Kind = p.kind
	return n
}

// find returns the part of that file name, or nil. The item may be nil.
func (it *item) find(file string) *part {
	if it == nil {
		return nil
	}
	for _, p := range it.parts {
		if p.file.Name == file {
			return p
		}
	}
	return nil
}

// add adds a part. Parts are sorted by name, not by their order in the folder.
func (it *item) add(p *part) {
	it.parts = append(it.parts, p)
	slices.SortFunc(it.parts, func(a, b *part) int { return strings.Compare(a.file.Name, b.file.Name) })
	it.changed(p.kind)
}

// changed records that a part of the kind came, changed or went. Only CSV and layout restart the
// wait for the sidecar.
func (it *item) changed(k Kind) {
	it.loggedStep = stepWait
	it.near, it.upload = nil, ""
	if k != KindSidecar {
		it.settledAt = notYet
	}
}

// only returns the single part of the kind if it can be taken, nil if there is none or several.
func (it *item) only(k Kind) *part {
	var found *part
	for _, p := range it.parts {
		if p.kind != k {
			continue
		}
		if found != nil {
			return nil
		}
		found = p
	}
	if found == nil || found.stat().Check() != nil || found.deniedAt != notYet {
		return nil
	}
	return found
}

// count returns the number of parts of the kind.
func (it *item) count(k Kind) int {
	n := 0
	for _, p := range it.parts {
		if p.kind == k {
			n++
		}
	}
	return n
}

// first returns the first sighting of its oldest part.
func (it *item) first() time.Duration {
	first := never
	for _, p := range it.parts {
		first = min(first, p.first)
	}
	return first
}

// isZip reports whether the CSV is in a zip.
func (it *item) isZip() bool {
	csv := it.only(KindCSV)
	return csv != nil && ParseName(csv.file.Name).Format == FormatZip
}

// committed reports whether the sidecar came last and so commits the drop. A sidecar before the
// CSV commits nothing while the layout may still come.
func (it *item) committed() bool {
	csv, sidecar := it.only(KindCSV), it.only(KindSidecar)
	return sidecar != nil && (it.count(KindLayout) > 0 || csv == nil || sidecar.first >= csv.first)
}

// lastChange returns the latest ctime of its files. It is the host's clock, not the sender's.
func (it *item) lastChange() int64 {
	var last int64
	for _, p := range it.parts {
		last = max(last, p.file.ID.Change)
	}
	return last
}

// quietSince returns the last change of any of its files.
func (it *item) quietSince() time.Duration {
	var last time.Duration
	for _, p := range it.parts {
		last = max(last, p.since)
	}
	return last
}

// drop converts the item to a Drop, with times counted from start.
func (it *item) drop(inbox string, start time.Time, needs missing) Drop {
	d := Drop{Inbox: inbox, Name: it.name.Base, Near: it.near,
		FirstSeen: start.Add(it.first()), QuietSince: start.Add(it.quietSince()), Problems: it.problems(needs)}
	for _, p := range it.parts {
		f := p.file
		switch {
		case p.kind == KindCSV && p == it.only(KindCSV):
			d.CSV = &f
		case p.kind == KindLayout && p == it.only(KindLayout):
			d.Layout = &f
		case p.kind == KindSidecar && p == it.only(KindSidecar):
			d.Sidecar = &f
		default:
			d.Others = append(d.Others, f)
		}
	}
	return d
}

// problems returns everything that keeps the item from being taken, in words for a partner.
func (it *item) problems(needs missing) []campaign.Problem {
	var all []campaign.Problem
	say := func(code, file, message string) {
		all = append(all, campaign.Problem{Code: code, File: file, Message: message})
	}
	for _, p := range it.parts {
		if why := p.problem(); why != "" {
			say("file-special", p.file.Name, why)
		}
		if it.count(p.kind) > 1 {
			say("part-twice", p.file.Name, "is one of several files for the same part of the drop (.csv, .csv.gz, .zip and .xlsx are one part, and so are names that differ only in the case of their extension): keep one of them")
		}
	}
	if it.single() {
		return all
	}
	for _, f := range it.near {
		say("near-miss", f.Name, "has a near name and is probably a part of this drop: "+rightNames(it, f.Name))
	}
	if it.count(KindCSV) == 0 {
		say("part-missing", it.name.Base+".csv", "never arrived; a drop is NAME.csv with NAME.layout.json under the same NAME")
	}
	if it.lacks()&needs&missingLayout != 0 {
		say("part-missing", it.name.Base+".layout.json", "never arrived; a drop is NAME.csv with NAME.layout.json under the same NAME")
	}
	if it.lacks()&needs&missingSidecar != 0 {
		say("part-missing", it.name.Base+".schedule.json", "never arrived; this inbox takes a drop only with its schedule, which may be just {}")
	}
	return all
}

// problem returns why the file can't be taken, or "".
func (p *part) problem() string {
	switch {
	case p.mode&fs.ModeSymlink != 0:
		return "is a symbolic link; put the file itself here"
	case p.mode.IsDir():
		return "is a folder; put a file here"
	case !p.mode.IsRegular():
		return fmt.Sprintf("is a %s; put a plain file here", special(p.mode))
	case p.links > 1:
		return fmt.Sprintf("has %d names (hard links); put a file here that has one, such as a copy", p.links)
	case p.deniedAt != notYet:
		return "can't be read by the daemon (permission denied); make it readable for the daemon's user"
	case p.openErr != nil:
		return "can't be opened: " + innermost(p.openErr)
	case p.busy:
		return "is still open for writing; end the upload, or put the file again"
	}
	return ""
}

func special(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// innermost returns the text of the innermost error. The messages around it name the file already.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
