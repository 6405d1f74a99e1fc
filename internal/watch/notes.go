package watch

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// handOverNotes hands over the notes that the inbox should have, after a full scan. waiting are the
// oldest items that wait.
func (w *Watcher) handOverNotes(waiting []*item) {
	if !w.whole {
		return
	}
	var notes []Note
	if w.opt.NoteAfter > 0 {
		quiet := w.now() - w.opt.NoteAfter
		for _, it := range waiting {
			if it.quietSince() <= quiet {
				notes = append(notes, w.itemNote(it))
			}
		}
		for _, o := range w.oldestOthers() {
			if len(notes) >= MaxNotes {
				break
			}
			if o.since <= quiet {
				text := w.otherNote(o)
				notes = append(notes, Note{Name: o.file.Name, Reason: text, Text: text})
			}
		}
	}
	w.handler.Notes(w.opt.Path, notes)
}

// oldestOthers returns the files of no drop that are no temporary ones, oldest first.
func (w *Watcher) oldestOthers() []*other {
	var list []*other
	for _, o := range w.others {
		if o.name.Kind == KindForeign {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *other) int {
		return cmp.Or(cmp.Compare(a.first, b.first), strings.Compare(a.file.Name, b.file.Name))
	})
	return list
}

// itemNote says how an item is interpreted, what it waits for and until when.
func (w *Watcher) itemNote(it *item) Note {
	var names []string
	for _, p := range it.parts {
		names = append(names, shown(p.file.Name))
	}
	what := fmt.Sprintf("campaignd reads %s as part of the drop %q", strings.Join(names, ", "), it.name.Base)
	if it.single() {
		what = fmt.Sprintf("campaignd reads %s as a control file", names[0])
	}
	reason := w.rules.reason(it)
	if drop := w.absorbedBy(it); drop != nil {
		reason = fmt.Sprintf("%s was probably meant for the drop %q: %s", names[0], drop.name.Base, rightNames(drop, it.parts[0].file.Name))
	}
	until, then := it.first()+w.rules.pairTimeout, "goes to failed/"
	switch {
	case held(it):
		until = w.rules.heldUntil(it)
	case !it.single() && it.lacks() != 0 && !w.rules.incomplete(it) && len(it.near) == 0 && it.settledAt != notYet:
		until, then = it.settledAt+w.rules.sidecarWait, "is taken without it"
		if len(it.partNames(it.lacks())) > 1 {
			then = "is taken without them"
		}
	}
	return Note{Name: it.title(), Reason: what + reason,
		Text: fmt.Sprintf("%s. It waits until %s and then %s: %s.", what, display.Time(w.start.Add(until), w.opt.Zone), then, reason)}
}

// shown returns a file name for a text: in quotes, with escapes, if a reader could miss one of its characters.
func shown(file string) string {
	if quoted := strconv.Quote(file); len(quoted) != len(file)+2 || strings.TrimSpace(file) != file {
		return quoted
	}
	return file
}

// otherNote says what campaignd makes of a file that belongs to no drop.
func (w *Watcher) otherNote(o *other) string {
	file := o.file.Name
	if o.mode.IsDir() {
		return fmt.Sprintf("campaignd doesn't look into the folder %s. Put the files of a drop directly into the inbox.", shown(file))
	}
	if drop := w.nearDrop(file, nil); drop != nil {
		return fmt.Sprintf("campaignd doesn't know this file, but it was probably meant for the drop %q, which waits for it: %s.",
			drop.name.Base, rightNames(drop, file))
	}
	text := fmt.Sprintf("campaignd doesn't know what to do with %s and leaves it here", shown(file))
	if advice := otherFormat(file); advice != "" {
		return text + ": " + advice
	}
	if right := cmp.Or(nearestExtension(file), w.missingCSV(file)); right != "" {
		return text + fmt.Sprintf(". Rename it if %s was meant.", right)
	}
	text += ": it belongs to no drop. A drop is NAME.csv with NAME.layout.json and, last, NAME.schedule.json."
	if o.file.ID.Size == 0 {
		text += " To cancel, pause or resume one, upload an empty file NAME.cancel, NAME.pause or NAME.resume."
	}
	return text
}

// otherFormat says what to do with a file whose ending is that of a format that isn't read, "" if it
// isn't one of them.
func otherFormat(file string) string {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	stem = cmp.Or(strings.TrimSuffix(stem, filepath.Ext(stem)), stem)
	switch strings.ToLower(filepath.Ext(file)) {
	case ".xls", ".xlsm", ".xlsb", ".ods", ".numbers":
		return fmt.Sprintf("workbooks of this kind are not read. If it is a list of recipients, save it as %s.xlsx or %s.csv.", stem, stem)
	case ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst":
		return fmt.Sprintf("archives of this kind are not read. If it is a list of recipients, upload %s.csv itself, or as %s.zip or %s.csv.gz.", stem, stem, stem)
	case ".gpg", ".pgp":
		return fmt.Sprintf("encrypted files are not read. If it is a list of recipients, decrypt it and upload %s.csv.", stem)
	}
	return ""
}

// missingCSV returns the name of the CSV that a drop of the file's name still lacks, or "".
func (w *Watcher) missingCSV(file string) string {
	base := norm.NFC.String(strings.TrimSuffix(file, filepath.Ext(file)))
	if it := w.items[key{base: base}]; base == "" || it == nil || it.count(KindCSV) > 0 {
		return ""
	}
	return base + ".csv"
}

// nearestExtension returns the name with the known extension that a file's ending is near to, or "".
func nearestExtension(file string) string {
	if part, rest := partBefore(file); part != "" {
		if parsePart(part).Kind == KindControl || rest == "" || strings.EqualFold(rest, hiddenEnding) {
			return part
		}
		return "" // spring.csv.asc says something about spring.csv
	}
	for _, ending := range [...]string{".suppress", ".suppress.txt"} {
		if base, ok := cutEnding(file, ending); ok && base != "" {
			return base + ".suppress.csv"
		}
	}
	lower := strings.ToLower(file)
	if len(lower) != len(file) {
		return ""
	}
	best, found := maxEdits+1, ""
	for _, x := range extensions() {
		for _, ending := range []string{x.suffix, x.suffix + hiddenEnding} {
			for cut := len(file) - len(ending) - maxEdits; cut <= len(file)-len(ending)+maxEdits; cut++ {
				if cut <= 0 || cut >= len(file) || !strings.ContainsRune("._- ", rune(file[cut])) {
					continue
				}
				limit := min(maxEdits, (len(x.suffix)-1)/2) // .csv: one edit, or two letters swapped
				n := edits(lower[cut+1:], ending[1:], limit)
				if swapped(lower[cut+1:], ending[1:]) {
					n = 1
				}
				if n <= limit && n < best {
					best, found = n, strings.TrimRight(file[:cut], " ")+x.suffix
				}
			}
		}
	}
	return found
}

// partBefore returns the name of a part that a file name begins with, and what follows it without
// the marks of a copy: spring.cancel and .txt of "spring.cancel (1).txt".
func partBefore(file string) (part, rest string) {
	for i, r := range file + "." {
		if i == 0 || isSeparator(r) && r != '.' && r != ' ' && r != '(' || !isSeparator(r) {
			continue
		}
		if n := parsePart(strings.TrimRight(file[:i], " ")); n.Kind < KindCSV {
			continue
		}
		part, rest = strings.TrimRight(file[:i], " "), file[i:]
		if at := strings.LastIndexByte(rest, '.'); at > 0 && rest[0] != '.' {
			rest = rest[at:]
		} else if rest != "" && rest[0] != '.' || rest == "." {
			rest = ""
		}
		return part, rest
	}
	return "", ""
}

// swapped reports whether a and b differ in two neighbours that are swapped.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// rightNames says under which name a near file would be a part of the drop.
func rightNames(it *item, file string) string {
	names := it.partNames(nearShape(file) & it.lacks())
	if len(names) == 0 {
		return "compare the names letter by letter"
	}
	return "rename it to " + strings.Join(names, " or ")
}

// mostSimilar limits the similar names that a report lists.
const mostSimilar = 5

// similarProblems names the files with a near name that are no near misses, such as a CSV under
// another extension.
func (w *Watcher) similarProblems(it *item) []campaign.Problem {
	var names []string
	for _, f := range w.nearFiles(it, func(candidate) bool { return true }) {
		if !slices.ContainsFunc(it.near, func(n File) bool { return n.Name == f.Name }) && len(names) < mostSimilar {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []campaign.Problem{{Message: "similar names in the inbox: " + strings.Join(names, ", ")}}
}
