package watch

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// MaxName is the longest base name of a drop, in bytes (SPEC 2).
const MaxName = 200

// Kind is what a file is by its name.
type Kind uint8

// The kinds.
const (
	KindForeign  Kind = iota // none of the others: left alone
	KindIgnored              // temporary or hidden: ignored for good
	KindReserved             // accepted, done, failed: the daemon's own folders
	KindBadName              // a part's extension on a base name that can't be one
	KindCSV
	KindLayout
	KindSidecar
	KindControl
)

// Name is a file name taken apart.
type Name struct {
	Kind   Kind
	Base   string      // NAME; "" for the first four kinds
	Action Action      // of KindControl
	ID     campaign.ID // of KindControl, if the name holds one
	Why    string      // of KindBadName: what is wrong with it and what would be right
}

// extension is what makes a file a part of something.
type extension struct {
	suffix string
	kind   Kind
	action Action
}

// extensions are all of them, each before those it ends in: NAME.suppress.csv
// is no drop's CSV.
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

// temporary are the endings that uploads, editors and browsers give to what isn't finished.
func temporary() [8]string {
	return [...]string{".part", ".partial", ".filepart", ".tmp", ".temp", ".swp", ".crdownload", "~"}
}

// ParseName takes the name of a file in an inbox apart (SPEC 2, SPEC 10).
// Endings compare without regard to ASCII case; NAME keeps its own. A control
// file's NAME.ID is split if what follows the last dot is an id.
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

// cutEnding is strings.CutSuffix without regard to ASCII case; ending is in lower case.
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

// badBase says what is wrong with a base name, "" if nothing is. It is never
// empty and has no leading dot: such files are ignored as hidden ones.
func badBase(base string) string {
	switch {
	case len(base) > MaxName:
		return fmt.Sprintf("the name is %d bytes long; at most %d would be right", len(base), MaxName)
	case !utf8.ValidString(base):
		return "the name is not valid UTF-8"
	}
	for _, r := range base {
		if unicode.IsControl(r) {
			return fmt.Sprintf("the name holds the control character %U", r)
		}
	}
	return ""
}
