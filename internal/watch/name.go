package watch

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
)

// MaxName is the longest base name of a drop, in bytes (docs/contract.md 2).
const MaxName = 200

// Kind classifies a file by its name.
type Kind uint8

// The kinds.
const (
	KindForeign   Kind = iota // none of the others
	KindIgnored               // hidden, a note, documentation or configured: always ignored
	KindTemporary             // an unfinished upload: ignored, but its drop waits for it
	KindReserved              // accepted, done, failed: the daemon's own folders
	KindBadName               // a name that can't be used
	KindCSV                   // also packed, or a spreadsheet
	KindLayout
	KindSidecar
	KindControl
)

// Format is how a CSV comes.
type Format uint8

// The formats.
const (
	FormatCSV   Format = iota // as it is
	FormatGzip                // NAME.csv.gz
	FormatZip                 // NAME.zip, which may bring layout and sidecar too
	FormatSheet               // NAME.xlsx
)

// Name is a parsed file name.
type Name struct {
	Kind   Kind
	Base   string      // NAME in NFC; "" for the kinds before KindCSV but KindTemporary
	Format Format      // of KindCSV
	Action Action      // of KindControl
	ID     campaign.ID // of KindControl, if the name contains one
	Why    string      // of KindBadName: the fault and the correct form
}

// extension maps a suffix to the kind of a file.
type extension struct {
	suffix string
	kind   Kind
	action Action // of KindControl
	format Format // of KindCSV
}

// empty reports whether a file with the extension is an empty control file.
func (x extension) empty() bool {
	return x.kind == KindControl && x.action != ActionSuppress && x.action != ActionReschedule
}

// hiddenEnding follows the name of a control file that was made on Windows, which doesn't show it.
const hiddenEnding = ".txt"

// extensions lists all of them, longer ones before those that they end in: NAME.suppress.csv is
// not a drop's CSV. Those of empty control files may have hiddenEnding after them.
func extensions() [17]extension {
	return [...]extension{
		{suffix: ".suppress.csv", kind: KindControl, action: ActionSuppress},
		{suffix: ".reschedule.json", kind: KindControl, action: ActionReschedule},
		{suffix: ".layout.json", kind: KindLayout},
		{suffix: ".schedule.json", kind: KindSidecar},
		{suffix: ".csv", kind: KindCSV},
		{suffix: ".csv.gz", kind: KindCSV, format: FormatGzip},
		{suffix: ".csv.zip", kind: KindCSV, format: FormatZip}, // a Mac's name for it
		{suffix: ".zip", kind: KindCSV, format: FormatZip},
		{suffix: ".xlsx", kind: KindCSV, format: FormatSheet},
		{suffix: ".cancel", kind: KindControl, action: ActionCancel},
		{suffix: ".pause", kind: KindControl, action: ActionPause},
		{suffix: ".resume", kind: KindControl, action: ActionResume},
		{suffix: ".results", kind: KindControl, action: ActionResults},
		// What people make of them.
		{suffix: ".canceled", kind: KindControl, action: ActionCancel},
		{suffix: ".cancelled", kind: KindControl, action: ActionCancel},
		{suffix: ".paused", kind: KindControl, action: ActionPause},
		{suffix: StopExtension, kind: KindControl, action: ActionPause},
	}
}

// StopExtension pauses like .pause. Some people mean cancel by it, so its answer says how to cancel.
const StopExtension = ".stop"

// NoteExtension ends the name of a note that campaignd leaves next to a file that waits.
const NoteExtension = ".note.txt"

// temporary lists the endings that uploads, editors and browsers give to unfinished files.
func temporary() [8]string {
	return [...]string{".part", ".partial", ".filepart", ".tmp", ".temp", ".swp", ".crdownload", "~"}
}

// ParseName parses the name of a file in an inbox (docs/contract.md 2 and 10). Extensions are
// compared without regard to ASCII case; NAME keeps its case and is returned in NFC. A control
// file's NAME.ID is split if the text after the last dot is an id. A temporary file has the Base
// of the part that it becomes, if it is one.
func ParseName(file string) Name {
	switch {
	case strings.HasPrefix(file, "."):
		return Name{Kind: KindIgnored}
	case file == "accepted" || file == "done" || file == "failed":
		return Name{Kind: KindReserved}
	case strings.HasPrefix(file, "README") || file == "campaigns.txt" || file == "examples":
		return Name{Kind: KindIgnored}
	}
	if _, ok := cutEnding(file, NoteExtension); ok {
		return Name{Kind: KindIgnored}
	}
	for _, ending := range temporary() {
		if rest, ok := cutEnding(file, ending); ok {
			n := Name{Kind: KindTemporary}
			if part := parsePart(rest); part.Kind >= KindCSV && part.Kind != KindControl {
				n.Base = part.Base
			}
			return n
		}
	}
	return parsePart(file)
}

// parsePart parses a name that is not ignored.
func parsePart(file string) Name {
	for _, x := range extensions() {
		base, ok := cutEnding(file, x.suffix)
		if !ok && x.empty() {
			base, ok = cutEnding(file, x.suffix+hiddenEnding)
		}
		if !ok {
			continue
		}
		n := Name{Kind: x.kind, Base: base, Action: x.action, Format: x.format}
		if i := strings.LastIndexByte(base, '.'); i > 0 && x.kind == KindControl && x.action != ActionSuppress {
			if id := campaign.ID(base[i+1:]); id.Valid() {
				n.Base, n.ID = base[:i], id
			}
		}
		if why := badBase(n.Base); why != "" {
			return Name{Kind: KindBadName, Why: why}
		}
		if x.kind == KindCSV && likeOptOuts(base) { // sending to them would be the worst mistake
			return Name{Kind: KindBadName, Why: "its name is that of a list of opt-outs, which is a plain CSV: upload it as NAME.suppress.csv. " +
				"If it is a list of recipients, give it a name that doesn't end like suppress"}
		}
		n.Base = norm.NFC.String(n.Base)
		return n
	}
	if why := badName(file); why != "" {
		return Name{Kind: KindBadName, Why: why}
	}
	return Name{Kind: KindForeign}
}

// likeOptOuts reports whether a base name ends in a word like suppress, as that of a list of opt-outs
// that isn't named NAME.suppress.csv does.
func likeOptOuts(base string) bool {
	words := strings.FieldsFunc(fold(base), isSeparator)
	if len(words) == 0 {
		return false
	}
	const word = "suppress"
	last := words[len(words)-1]
	return strings.HasPrefix(last, word) || edits(last, word, maxEdits) <= maxEdits
}

// cutEnding is strings.CutSuffix without regard to ASCII case. ending is ASCII.
func cutEnding(s, ending string) (string, bool) {
	if at := len(s) - len(ending); at >= 0 && strings.EqualFold(s[at:], ending) {
		return s[:at], true
	}
	return s, false
}

// badBase returns what is wrong with a base name, or "". A name without one, such as ".csv", is
// hidden; only a temporary file's rest can be empty.
func badBase(base string) string {
	if base == "" {
		return "the name is empty"
	}
	if long := max(len(base), len(norm.NFC.String(base))); long > MaxName {
		return fmt.Sprintf("the name is %d bytes long; at most %d are allowed: give it a shorter one", long, MaxName)
	}
	return badText(base)
}

// maxFileName is the longest file name of the usual file systems, in bytes.
const maxFileName = 255

// badName returns why a file of no drop can't even have a note, or "".
func badName(file string) string {
	if most := maxFileName - len(NoteExtension); len(file) > most {
		return fmt.Sprintf("the name is %d bytes long; at most %d are allowed: give it a shorter one", len(file), most)
	}
	return badText(file)
}

// badText returns why a text can't be shown as a name, or "".
func badText(name string) string {
	if !utf8.ValidString(name) {
		return "the name is not valid UTF-8: give it one without special letters, or set your program to UTF-8"
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Sprintf("the name contains the control character %U: give it one without", r)
		}
	}
	return ""
}

// IsStop reports whether a file is a control file NAME.stop.
func IsStop(file string) bool {
	shown, _ := cutEnding(file, hiddenEnding)
	return strings.EqualFold(filepath.Ext(shown), StopExtension)
}
