package csvfile

import (
	"slices"
	"strings"
	"unicode"
)

// model returns a plain, slow reader of docs/contract.md 4: a letter at a time,
// the whole text at once. It returns the records and whether the rest is refused.
func model(text string, comma, eol byte, columns, maxRecord int, line uint32) (rows []row, broken bool) {
	var about []neighbor
	defer func() { rows = markBreaks(rows, about) }()
	single := columns == 1
	blank := false
	for i := 0; i < len(text); {
		if end := i + len(text[i:]) - len(strings.TrimLeft(text[i:], blanksOf(comma))); end > i && (end == len(text) || text[end] == '\n' || text[end] == '\r') {
			i = end // a line of white space
			continue
		}
		if n := breakAt(text, i, eol); n > 0 { // a blank line
			i += n
			if text[i-1] == eol {
				line++
				blank = true
			}
			continue
		}
		start, first := i, line
		var cells []string
		fault, detail := FaultNone, 0
		quotedFirst := text[i] == '"'
		ended := false
		for {
			var cell strings.Builder
			quoted := i < len(text) && text[i] == '"'
			if quoted {
				i++
				for {
					if i == len(text) {
						return rows, true // never closed
					}
					if text[i] == '"' {
						i++
						if i == len(text) || text[i] != '"' {
							break
						}
					}
					if text[i] == eol {
						if fault == FaultQuote {
							return rows, true
						}
						line++
					}
					cell.WriteByte(text[i])
					i++
				}
				if i < len(text) && text[i] != comma && breakAt(text, i, eol) == 0 {
					return rows, true // text behind a quote
				}
			}
			for i < len(text) && text[i] != comma && breakAt(text, i, eol) == 0 {
				c := text[i]
				switch {
				case c == '\r' || c == '\n':
					return rows, true // the other kind of line end
				case c == '"' && cell.String() == "=" && !quoted && formulaEnd(text, i, comma) > 0:
					end := formulaEnd(text, i, comma)
					cell.WriteString(text[i : end-1])
					i = end - 1
					c = text[i]
				case c == '"':
					if strings.TrimFunc(cell.String(), unicode.IsSpace) == "" {
						return rows, true
					}
					if fault == FaultNone {
						fault, detail = FaultQuote, len(cells)
					}
				}
				cell.WriteByte(c)
				i++
			}
			cells = append(cells, cell.String())
			if i == len(text) || text[i] != comma {
				break
			}
			i++
		}
		raw := text[start:i]
		if i < len(text) {
			n := breakAt(text, i, eol)
			ended = text[i+n-1] == eol
			i += n
			if ended {
				line++
			}
		}
		if len(raw) > maxRecord {
			return rows, true
		}
		switch {
		case strings.Trim(strings.Join(cells, ""), " \t\r\n") == "":
			blank = true
			continue
		case fault != FaultNone:
		case len(cells) < columns && !ended:
			fault, detail = FaultCutOff, len(cells)
		case len(cells) == 1 && columns > 1:
			fault, detail = FaultBreak, 1
		case len(cells) != columns:
			fault, detail = FaultCells, len(cells)
		case single && !quotedFirst && strings.ContainsAny(raw, candidates):
			fault = FaultDelimiter
		}
		one := len(cells) == 1 && columns > 1
		if fault != FaultNone {
			cells = nil
		}
		rows = append(rows, row{first, cells, fault, detail, raw})
		about = append(about, neighbor{one, blank})
		blank = false
	}
	return rows, false
}

// neighbor holds the facts about a row that concern the rows beside it.
type neighbor struct{ single, afterBlank bool }

// markBreaks sets the faults of rows beside single cells.
func markBreaks(rows []row, about []neighbor) []row {
	for i := range rows {
		if !about[i].single {
			continue
		}
		spared := footer([]byte(rows[i].Raw)) || about[i].afterBlank && !slices.ContainsFunc(about[i:], func(n neighbor) bool { return !n.single })
		for _, k := range []int{i - 1, i + 1} {
			if k < 0 || k == len(rows) || k < i && (spared || rows[i].Fault == FaultCutOff) || rows[k].Fault != FaultNone {
				continue
			}
			rows[k].Fault, rows[k].Detail, rows[k].Cells = FaultNextTo, int(rows[i].Line), nil
		}
	}
	return rows
}

// formulaEnd returns the end of a cell ="text" whose first quote is at i, 0 if it isn't one.
func formulaEnd(text string, i int, comma byte) int {
	inner, rest, ok := strings.Cut(text[i+1:], `"`)
	if !ok || strings.ContainsAny(inner, string(rune(comma))+"\r\n") || rest != "" && !strings.ContainsAny(rest[:1], string(rune(comma))+"\r\n") {
		return 0
	}
	return len(text) - len(rest)
}

func blanksOf(comma byte) string { return strings.ReplaceAll(" \t\x1a", string(rune(comma)), "") }

// breakAt returns the length of the line end at i, 0 if none is there. A CR at the
// end of a text whose lines end with CRLF is one that was cut.
func breakAt(text string, i int, eol byte) int {
	switch {
	case text[i] == eol:
		return 1
	case text[i] != '\r':
		return 0
	case i+1 == len(text):
		return 1
	case text[i+1] == '\n':
		return 2
	case text[i+1] == '\r' && (i+2 == len(text) || text[i+2] == '\n'):
		return min(3, len(text)-i)
	}
	return 0
}
