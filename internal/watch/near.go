package watch

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxEdits limits the edits outside digits between a name and a near name (docs/contract.md 2, near
// misses).
const maxEdits = 2

// missing is a set of a drop's parts that are not there.
type missing uint8

const (
	missingLayout missing = 1 << iota
	missingSidecar
)

// nearShape returns the parts that a file name may stand for by its words, or 0 if it looks like
// none of them. The file is not a correctly named part.
func nearShape(file string) missing {
	lower := strings.ToLower(file)
	sched, layout := strings.Contains(lower, "sched"), strings.Contains(lower, "layout")
	switch {
	case sched && layout:
		return missingSidecar | missingLayout
	case sched:
		return missingSidecar
	case layout:
		return missingLayout
	case !strings.HasSuffix(lower, ".json") && !strings.HasSuffix(lower, ".json.txt"):
		return 0
	}
	for _, word := range strings.FieldsFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch { // shedule, scehdule; layuot
		case edits(word, "schedule", 3) <= 3:
			return missingSidecar
		case edits(word, "layout", maxEdits) <= maxEdits:
			return missingLayout
		}
	}
	return missingSidecar | missingLayout // spring.json
}

// nearBase is a part of a file name that may stand for NAME.
type nearBase struct {
	text  string // folded
	dots  int    // in text; -1: compares with any NAME
	exact bool   // stands only for a NAME that it is equal to
}

// nearBases returns the parts of a file name that may stand for NAME: the text up to a dot (the
// first one, or a later one if NAME has dots itself), the text up to a separator before a word
// with sched or layout, and, to be equal to NAME, the text before such a word without a separator and
// the text after one that the file name begins with.
func nearBases(file string) []nearBase {
	var all []nearBase
	dots := 0
	for i, r := range file {
		if r == '.' && i > 0 {
			all = append(all, nearBase{text: fold(file[:i]), dots: dots})
			dots++
		}
	}
	lower := strings.ToLower(file)
	if len(lower) != len(file) { // a letter whose lower case has another length
		return all
	}
	for i, r := range file {
		if i == 0 || !isSeparator(r) {
			continue
		}
		word := lower[i+utf8.RuneLen(r):]
		if end := strings.IndexFunc(word, isSeparator); end >= 0 {
			word = word[:end]
		}
		if strings.Contains(word, "sched") || strings.Contains(word, "layout") {
			all = append(all, nearBase{text: fold(strings.TrimRightFunc(file[:i], isSeparator)), dots: -1})
		}
	}
	for _, word := range [...]string{"sched", "layout"} {
		before, _, found := strings.Cut(lower, word)
		if !found {
			continue
		}
		if before != "" { // springschedule.json
			all = append(all, nearBase{text: fold(file[:len(before)]), dots: -1, exact: true})
			continue
		}
		if i := strings.IndexFunc(file, isSeparator); i > 0 { // schedule_spring.json
			after, _, _ := strings.Cut(strings.TrimLeftFunc(file[i:], isSeparator), ".")
			all = append(all, nearBase{text: fold(after), dots: -1, exact: true})
		}
	}
	return all
}

// isSeparator reports whether r divides the words of a file name.
func isSeparator(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.M) }

// fold returns a base name as near names compare: without case and the marks of a copy, such as
// " (1)", " - Copy" and "Copy of ".
func fold(base string) string {
	folded := strings.ToLower(norm.NFC.String(base))
	if i := strings.LastIndexByte(folded, '('); i > 0 && strings.HasSuffix(folded, ")") {
		if n := folded[i+1 : len(folded)-1]; n != "" && len(n) <= 3 && strings.Trim(n, "0123456789") == "" {
			folded = cmp.Or(strings.TrimRight(folded[:i], " "), folded)
		}
	}
	for _, word := range [...]string{"copy", "copia", "cópia", "kopie", "copie"} {
		for _, mark := range [...]string{" - " + word, " " + word} {
			if before, ok := strings.CutSuffix(folded, mark); ok {
				return cmp.Or(before, folded)
			}
		}
		for _, link := range [...]string{" of ", " de ", " di ", " von ", " "} {
			if after, ok := strings.CutPrefix(folded, word+link); ok {
				return cmp.Or(after, folded)
			}
		}
	}
	return folded
}

// isNear reports whether a folded base stands for the folded NAME: it is equal, or differs by at most
// maxEdits edits outside digits that leave at least one letter of the NAME.
func isNear(base nearBase, name string) bool {
	if base.dots >= 0 && base.dots != strings.Count(name, ".") {
		return false
	}
	if base.text == name {
		return true
	}
	letters := 0
	for _, r := range name {
		if !unicode.IsDigit(r) {
			letters++
		}
	}
	limit := min(maxEdits, letters-1)
	return !base.exact && limit > 0 && digits(base.text) == digits(name) && edits(base.text, name, limit) <= limit
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// edits returns the number of insertions, deletions and replacements of non-digits that turn a into
// b, or more than limit if there are more or a digit would change.
func edits(a, b string, limit int) int {
	from, to := []rune(a), []rune(b)
	if d := len(from) - len(to); d > limit || -d > limit {
		return limit + 1
	}
	cost := func(r rune) int {
		if unicode.IsDigit(r) {
			return limit + 1
		}
		return 1
	}
	row := make([]int, len(to)+1)
	for j, r := range to {
		row[j+1] = row[j] + cost(r)
	}
	for _, f := range from {
		diagonal := row[0]
		row[0] += cost(f)
		least := row[0]
		for j, t := range to {
			replaced := diagonal
			if f != t {
				replaced += max(cost(f), cost(t))
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+cost(f), row[j]+cost(t))
			least = min(least, row[j+1])
		}
		if least > limit {
			return limit + 1
		}
	}
	return row[len(to)]
}
