package csvfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// candidates are the possible delimiters (docs/contract.md 4), the most common first.
const candidates = ",;\t|"

// header finds line ends, delimiter and columns in the bytes read so far. It returns
// false if it needs more, and a *Broken if there is no header.
func (r *Reader) header(o Options) (complete bool, err error) {
	s := r.split
	comma, pos, err := r.sepLine(&s)
	if err != nil {
		return false, err
	}
	end := firstLineEnd(r.carry[pos:], r.ended || len(r.carry) > o.MaxRecord)
	if end == 0 {
		return false, nil
	}
	if s.eol == 0 {
		s.eol = end
	}
	var wait bool
	if pos, wait = s.skipBlank(r.carry, pos, r.ended); wait {
		return false, nil
	}
	if pos == len(r.carry) {
		if !r.ended {
			return false, nil
		}
		return false, &Broken{campaign.Problem{Code: "csv-empty", File: o.File, Line: 1, Message: "the file has no line; its first must name the columns"}}
	}
	if err := s.foreignLineEnd(r.carry, pos, end); err != nil {
		return false, err
	}
	tried := candidates
	if comma != 0 {
		tried = string(comma)
	}
	var all []headerCandidate
	for _, c := range []byte(tried) {
		t, complete := splitHeader(s, r.carry[pos:], c, r.ended, o)
		if !complete {
			return false, nil
		}
		all = append(all, t)
	}
	best, err := chooseHeader(all, s, o)
	if err != nil {
		return false, err
	}
	if !o.Lenient && (best.wantedColumns < len(wantedNames(o)) || len(o.Wanted) == 0) {
		if line := headerBelow(r.carry[pos:], &s, o); line > 0 {
			return false, &Broken{campaign.Problem{Code: "header-missing", File: o.File, Line: int(s.line),
				Message: fmt.Sprintf("the first line doesn't name the columns, but line %d does; remove the lines before it", line)}}
		}
		if slices.ContainsFunc(best.columns, looksLikeContact) {
			return false, &Broken{campaign.Problem{Code: "header-missing", File: o.File, Line: int(s.line),
				Message: "the first line looks like a recipient, not like the names of columns; add a first line that names the columns"}}
		}
	}
	r.hasSepLine = comma != 0 && !s.sheet
	r.crlf = bytes.HasSuffix(r.carry[:pos+best.next], []byte("\r\n"))
	r.columns, r.headerLine = best.columns, int(s.line)
	r.headerRaw = bytes.Clone(r.carry[pos : pos+best.next])
	r.split = best.after
	r.carry = append(r.carry[:0], r.carry[pos+best.next:]...)
	return true, nil
}

// foreignLineEnd returns a *Broken if the first line has a character that some programs write for a line end
// and others don't read as one. The rows would be taken for names of columns.
func (s *splitter) foreignLineEnd(data []byte, pos int, eol byte) error {
	line := data[pos:]
	if i := bytes.IndexByte(line, eol); i >= 0 {
		line = line[:i]
	}
	for _, c := range []rune{'\u0085', '\u2028', '\u2029', '\v', '\f'} {
		if i := bytes.IndexRune(line, c); i >= 0 {
			s.eol = eol
			return s.broken("line-ends", data, pos+i, fmt.Sprintf("the first line has the character %U, which some programs write for a line end; end lines with a line feed", c))
		}
	}
	return nil
}

// linesTried is how many lines are searched for the names of the columns.
const linesTried = 20

// headerBelow returns the line that has all wanted columns, below the first one; 0 if there is none. It serves only
// a message, so it doesn't care about line breaks in quotes.
func headerBelow(data []byte, s *splitter, o Options) (line uint32) {
	wanted := wantedNames(o)
	if len(wanted) == 0 {
		return 0
	}
	lines := bytes.SplitN(data[:min(len(data), o.MaxRecord)], []byte{s.eol}, linesTried)
	for i, text := range lines[1:] {
		for _, comma := range candidates {
			var names []string
			for _, cell := range strings.Split(string(text), string(comma)) {
				names = append(names, strings.Trim(columnName(cell), `"`))
			}
			if !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(names, w) }) {
				return s.line + uint32(i) + 1
			}
		}
	}
	return 0
}

// sepLine reads a first line sep=; as spreadsheets write it. comma is 0 if there is none.
func (r *Reader) sepLine(s *splitter) (comma byte, pos int, err error) {
	if s.sheet {
		s.eol = '\n'
		return ',', 0, nil
	}
	line := r.carry
	if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	if len(line) > len(`"sep=;"`)+MaxColumns {
		return 0, 0, nil
	}
	text := strings.Trim(string(line), " ")
	if unquoted, ok := strings.CutPrefix(text, `"`); ok {
		text = strings.Replace(unquoted, `"`, "", 1)
	}
	if len(text) < len("sep=;") || !strings.EqualFold(text[:4], "sep=") {
		return 0, 0, nil
	}
	// A spreadsheet that saves the file again fills the line up with delimiters.
	if text = text[4:]; strings.Trim(text, text[:1]) != "" {
		return 0, 0, nil // a column of that name
	}
	if !strings.Contains(candidates, text[:1]) {
		return 0, 0, &Broken{campaign.Problem{Code: "delimiter-unknown", File: r.split.file, Line: 1,
			Message: fmt.Sprintf("the line sep= names %q; a delimiter is a comma, a semicolon, a tab or a |", text[:1])}}
	}
	s.eol = firstLineEnd(r.carry[len(line):], r.ended)
	return text[0], len(line), nil
}

// firstLineEnd returns the last byte of the first line end outside quotes: '\n' for LF,
// CRLF and CR CR LF, '\r' for a single CR, '\n' for final text without any; 0 if it
// needs more bytes.
func firstLineEnd(data []byte, final bool) byte {
	quoted := false
	for i, c := range data {
		switch {
		case c == '"':
			quoted = !quoted // twice for a doubled quote
		case quoted:
		case c == '\n':
			return '\n'
		case c == '\r' && !endsInCR(data[i:]):
			if lineEndLen(data[i:], '\n') > 0 {
				return '\n'
			}
			return '\r'
		case c == '\r':
			if final {
				return '\n'
			}
			return 0
		}
	}
	if final {
		return '\n'
	}
	return 0
}

// headerCandidate is the header as one delimiter splits it.
type headerCandidate struct {
	comma         byte
	columns       []string
	wantedColumns int // number of wanted columns that it has
	next          int // offset of the rows
	after         splitter
	err           error
}

func splitHeader(s splitter, data []byte, comma byte, final bool, o Options) (t headerCandidate, complete bool) {
	s.comma = comma
	t = headerCandidate{comma: comma}
	b := Batch{data: data}
	t.next, t.err = s.split(&b, 0, 1, final)
	t.after = s
	if t.err != nil {
		return t, true
	}
	if len(b.records) == 0 {
		return t, false
	}
	if b.records[0].fault == FaultQuote {
		t.err = &Broken{campaign.Problem{Code: "header-quote", File: o.File, Line: int(b.records[0].line),
			Message: "a name in the header has a quote within; a name with quotes is written \"like \"\"this\"\" one\""}}
		return t, true
	}
	for _, c := range b.cells {
		t.columns = append(t.columns, columnName(string(b.data[c.start:c.end])))
		if len(t.columns) > o.MaxColumns {
			break
		}
	}
	for _, w := range wantedNames(o) {
		if slices.Contains(t.columns, w) {
			t.wantedColumns++
		}
	}
	return t, true
}

// wantedNames returns the wanted columns in NFC, each once.
func wantedNames(o Options) []string {
	var names []string
	for _, w := range o.Wanted {
		if w = norm.NFC.String(w); !slices.Contains(names, w) {
			names = append(names, w)
		}
	}
	return names
}

// chooseHeader returns the candidate that has all wanted columns, or else most. Two equally good
// candidates are an error: the choice would be a guess.
func chooseHeader(all []headerCandidate, s splitter, o Options) (headerCandidate, error) {
	var best, rival *headerCandidate
	for i := range all {
		t := &all[i]
		switch {
		case t.err != nil:
		case best == nil || t.better(best):
			best, rival = t, nil
		case !best.better(t) && len(best.columns) > 1:
			rival = t
		}
	}
	if best == nil {
		return headerCandidate{}, all[0].err
	}
	if rival != nil {
		return *best, &Broken{campaign.Problem{Code: "delimiter-uncertain", File: o.File, Line: int(s.line), Message: fmt.Sprintf(
			"the header can be cut at %s (%d columns) and at %s (%d columns), and both fit the layout equally well; begin the file with a line sep=%c or quote the names",
			delimiterName(best.comma), len(best.columns), delimiterName(rival.comma), len(rival.columns), best.comma)}}
	}
	return *best, nil
}

// better reports whether t fits the layout better than u. The number of columns
// decides only if neither has a wanted column: the drop will be refused then.
func (t *headerCandidate) better(u *headerCandidate) bool {
	if t.wantedColumns != u.wantedColumns || t.wantedColumns > 0 {
		return t.wantedColumns > u.wantedColumns
	}
	return len(t.columns) > len(u.columns)
}

func delimiterName(c byte) string {
	switch c {
	case ',':
		return "commas"
	case ';':
		return "semicolons"
	case '\t':
		return "tabs"
	}
	return fmt.Sprintf("%q", rune(c))
}

// looksLikeContact reports whether a cell of the header is a phone number or an email
// address. A date in digits may be a name.
func looksLikeContact(cell string) bool {
	if at := strings.IndexByte(cell, '@'); at > 0 {
		return strings.LastIndexByte(cell, '.') > at+1 && !strings.ContainsAny(cell, " \t")
	}
	if run := longestDigits(cell); run >= 9 && run <= 15 && run < len(cell) {
		return true // a contact and something else
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" +-.()/'\u00a0", r) {
			return -1
		}
		return r
	}, cell)
	if len(digits) < 8 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	_, err := time.Parse("20060102", digits)
	return err != nil
}

// longestDigits returns the length of the longest run of digits.
func longestDigits(cell string) (most int) {
	run := 0
	for i := range len(cell) {
		if run++; cell[i] < '0' || cell[i] > '9' {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

// checkHeader finds the faults of the names, and prepares rejected.csv.
func (r *Reader) checkHeader(o Options) campaign.Problems {
	var p campaign.Problems
	at := func(cell int) int { return position(r.headerRaw, r.split.comma, r.split.eol, cell) }
	if len(r.columns) > o.MaxColumns {
		p.AddCode("columns-many", o.File, r.headerLine, at(o.MaxColumns), "", "the header has more than the %s that a CSV may have", display.Amount(o.MaxColumns, "column"))
		return p
	}
	first := make(map[string]int, len(r.columns))
	for i, name := range r.columns {
		if name == "" {
			p.AddCode("column-unnamed", o.File, r.headerLine, at(i), "", "column %d of %d has no name in the header; name it, or remove the surplus delimiter", i+1, len(r.columns))
			continue
		}
		if before, ok := first[name]; ok {
			p.AddCode("column-repeated", o.File, r.headerLine, at(i), name, "columns %d and %d have the same name %q; each needs its own", before+1, i+1, name)
			continue
		}
		first[name] = i
	}
	for i, name := range r.columns {
		if name != LineColumn && name != ErrorColumn {
			r.originalColumns = append(r.originalColumns, i)
		}
	}
	if p.Count == 0 && !o.Lenient {
		for _, i := range r.originalColumns {
			r.split.header = append(r.split.header, column{i, r.columns[i]})
		}
	}
	if len(r.originalColumns) == len(r.columns) {
		r.originalColumns = nil
	}
	return p
}
