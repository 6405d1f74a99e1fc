package watch

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// MaxName is the longest base name of a drop, in bytes (docs/contract.md 2).
const MaxName = 200

// Kind classifies a file by its name.
type Kind uint8

// The kinds.
const (
	KindForeign  Kind = iota // none of the others
	KindIgnored              // temporary, hidden or configured: always ignored
	KindReserved             // accepted, done, failed: the daemon's own folders
	KindBadName              // a part's extension with an invalid base name
	KindCSV
	KindLayout
	KindSidecar
	KindControl
)

// Name is a parsed file name.
type Name struct {
	Kind   Kind
	Base   string      // NAME; "" for the kinds before KindBadName and for it
	Action Action      // of KindControl
	ID     campaign.ID // of KindControl, if the name contains one
	Why    string      // of KindBadName: the fault and the correct form
}

// extension maps a suffix to the kind of a file.
type extension struct {
	suffix string
	kind   Kind
	action Action
}

// extensions lists all of them, longer ones before those that they end in: NAME.suppress.csv is
// not a drop's CSV.
func extensions() [7]extension {
	return [...]extension{
		{".suppress.csv", KindControl, ActionSuppress},
		{".layout.json", KindLayout, ""},
		{".schedule.json", KindSidecar, ""},
		{".csv", KindCSV, ""},
		{".cancel", KindControl, ActionCancel},
		{".pause", KindControl, ActionPause},
		{".resume", KindControl, ActionResume},
	}
}

// temporary lists the endings that uploads, editors and browsers give to unfinished files.
func temporary() [8]string {
	return [...]string{".part", ".partial", ".filepart", ".tmp", ".temp", ".swp", ".crdownload", "~"}
}

// ParseName parses the name of a file in an inbox (docs/contract.md 2 and 10). Extensions are
// compared without regard to ASCII case; NAME keeps its case. A control file's NAME.ID is split if
// the text after the last dot is an id.
func ParseName(file string) Name {
	switch {
	case strings.HasPrefix(file, "."):
		return Name{Kind: KindIgnored}
	case file == "accepted" || file == "done" || file == "failed":
		return Name{Kind: KindReserved}
	}
	for _, ending := range temporary() {
		if _, ok := cutEnding(file, ending); ok {
			return Name{Kind: KindIgnored}
		}
	}
	for _, x := range extensions() {
		base, ok := cutEnding(file, x.suffix)
		if !ok {
			continue
		}
		n := Name{Kind: x.kind, Base: base, Action: x.action}
		if i := strings.LastIndexByte(base, '.'); i > 0 && x.kind == KindControl && x.action != ActionSuppress {
			if id := campaign.ID(base[i+1:]); id.Valid() {
				n.Base, n.ID = base[:i], id
			}
		}
		if why := badBase(n.Base); why != "" {
			return Name{Kind: KindBadName, Why: why}
		}
		return n
	}
	return Name{Kind: KindForeign}
}

// cutEnding is strings.CutSuffix without regard to ASCII case. ending is in lower case.
func cutEnding(s, ending string) (string, bool) {
	at := len(s) - len(ending)
	if at < 0 {
		return s, false
	}
	for i := range len(ending) {
		c := s[at+i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != ending[i] {
			return s, false
		}
	}
	return s[:at], true
}

// badBase returns what is wrong with a base name, or "". A base is never empty and has no leading
// dot, because such files are ignored as hidden.
func badBase(base string) string {
	switch {
	case len(base) > MaxName:
		return fmt.Sprintf("the name is %d bytes long; at most %d are allowed", len(base), MaxName)
	case !utf8.ValidString(base):
		return "the name is not valid UTF-8"
	}
	for _, r := range base {
		if unicode.IsControl(r) {
			return fmt.Sprintf("the name contains the control character %U", r)
		}
	}
	return ""
}
