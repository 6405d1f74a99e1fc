package csvfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
)

// candidates are the delimiters that are looked for (docs/contract.md 4), likelier first.
const candidates = ",;\t|"

// header finds line ends, delimiter and columns in what was read so far. It
// reports false where it needs more, and a *Broken where it is no header.
func (r *Reader) header(o Options) (whole bool, err error) {
	s := r.split
	comma, pos, err := r.sepLine(&s)
	if err != nil {
		return false, err
	}
	end := lineEnd(r.carry[pos:], r.ended || len(r.carry) > o.MaxRecord)
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
		return false, &Broken{campaign.Problem{File: o.File, Line: 1, Message: "the file has no line; its first has to name the columns"}}
	}
	tried := candidates
	if comma != 0 {
		tried = string(comma)
	}
	var tries []headerCandidate
	for _, c := range []byte(tried) {
		t, whole := splitHeader(s, r.carry[pos:], c, r.ended, o)
		if !whole {
			return false, nil
		}
		tries = append(tries, t)
	}
	best, err := chooseHeader(tries, s, o)
	if err != nil {
		return false, err
	}
	r.hasSepLine = comma != 0
	r.crlf = bytes.HasSuffix(r.carry[:pos+best.next], []byte("\r\n"))
	r.columns, r.headerLine = best.columns, int(s.line)
	r.headerRaw = bytes.Clone(r.carry[pos : pos+best.next])
	r.split = best.after
	r.carry = append(r.carry[:0], r.carry[pos+best.next:]...)
	return true, nil
}

// sepLine obeys a first line sep=; as spreadsheets write it. comma is 0 where there is none.
func (r *Reader) sepLine(s *splitter) (comma byte, pos int, err error) {
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
		return 0, 0, nil // a column that is called so
	}
	if !strings.Contains(candidates, text[:1]) {
		return 0, 0, &Broken{campaign.Problem{File: r.split.file, Line: 1,
			Message: fmt.Sprintf("the line sep= names %q; a delimiter is a comma, a semicolon, a tab or a |", text[:1])}}
	}
	s.eol = lineEnd(r.carry[len(line):], true)
	return text[0], len(line), nil
}

// lineEnd returns the byte that ends the first line outside quotes: '\n' for LF and
// CRLF, '\r' for a lone CR, '\n' where final text has none; 0 if there is more to be read for it.
func lineEnd(data []byte, final bool) byte {
	quoted := false
	for i, c := range data {
		switch {
		case c == '"':
			quoted = !quoted // a doubled quote does it twice
		case quoted:
		case c == '\n':
			return '\n'
		case c == '\r':
			if i+1 < len(data) && data[i+1] != '\n' {
				return '\r'
			}
			if i+1 < len(data) || final && i > 0 {
				return '\n'
			}
		}
	}
	if final {
		return '\n'
	}
	return 0
}

// headerCandidate is the header as one delimiter cuts it.
type headerCandidate struct {
	comma         byte
	columns       []string
	wantedColumns int // how many of the wanted columns it has
	next          int // where the rows begin
	after         splitter
	err           error
}

func splitHeader(s splitter, data []byte, comma byte, final bool, o Options) (t headerCandidate, whole bool) {
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
		t.err = &Broken{campaign.Problem{File: o.File, Line: int(b.records[0].line),
			Message: "a name in the header has a quote within; a name with quotes is written \"like \"\"this\"\" one\""}}
		return t, true
	}
	for _, c := range b.cells {
		t.columns = append(t.columns, norm.NFC.String(trimName(string(b.data[c.start:c.end]))))
		if len(t.columns) > o.MaxColumns {
			break
		}
	}
	for i, w := range o.Wanted {
		if w = norm.NFC.String(w); slices.Contains(t.columns, w) && !slices.Contains(o.Wanted[:i], w) {
			t.wantedColumns++
		}
	}
	return t, true
}

// chooseHeader takes the delimiter whose header has the wanted columns: all of them,
// else most. Two that do equally well are an error: the choice would be a guess.
func chooseHeader(tries []headerCandidate, s splitter, o Options) (headerCandidate, error) {
	var best, rival *headerCandidate
	for i := range tries {
		t := &tries[i]
		switch {
		case t.err != nil:
		case best == nil || t.better(best):
			best, rival = t, nil
		case !best.better(t) && len(best.columns) > 1:
			rival = t
		}
	}
	if best == nil {
		return headerCandidate{}, tries[0].err
	}
	if rival != nil {
		return *best, &Broken{campaign.Problem{File: o.File, Line: int(s.line), Message: fmt.Sprintf(
			"the header can be cut at %s (%d columns) and at %s (%d columns), and both fit the layout equally well; begin the file with a line sep=%c or quote the names",
			delimiterName(best.comma), len(best.columns), delimiterName(rival.comma), len(rival.columns), best.comma)}}
	}
	return *best, nil
}

// better reports whether t fits the layout better than u. The number of
// columns decides only where no wanted column does: then the drop will be refused anyway.
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

// checkHeader finds what is wrong with the names, and prepares rejected.csv.
func (r *Reader) checkHeader(o Options) campaign.Problems {
	var p campaign.Problems
	at := func(cell int) int { return position(r.headerRaw, r.split.comma, r.split.eol, cell) }
	if len(r.columns) > o.MaxColumns {
		p.Addf(o.File, r.headerLine, at(o.MaxColumns), "", "the header has more than the %d columns that a CSV may have", o.MaxColumns)
		return p
	}
	first := make(map[string]int, len(r.columns))
	for i, name := range r.columns {
		if name == "" {
			p.Addf(o.File, r.headerLine, at(i), "", "column %d of %d has no name in the header; name it, or remove the delimiter too many", i+1, len(r.columns))
			continue
		}
		if before, ok := first[name]; ok {
			p.Addf(o.File, r.headerLine, at(i), name, "columns %d and %d have the same name %q; each needs its own", before+1, i+1, name)
			continue
		}
		first[name] = i
	}
	for i, name := range r.columns {
		if name != LineColumn && name != ErrorColumn {
			r.originalColumns = append(r.originalColumns, i)
		}
	}
	if len(r.originalColumns) == len(r.columns) {
		r.originalColumns = nil
	}
	return p
}
