package csvfile

import (
	"strings"
	"unicode"
)

// model returns a plain, slow reader of docs/contract.md 4: a letter at a time,
// the whole text at once. It returns the records and whether the rest is refused.
func model(text string, comma, eol byte, columns, maxRecord int, line uint32) (rows []row, broken bool) {
	single := columns == 1
	for i := 0; i < len(text); {
		if n := breakAt(text, i, eol); n > 0 { // a blank line
			i += n
			line++
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
				switch c := text[i]; {
				case c == '\r' || c == '\n':
					return rows, true // the other kind of line end
				case c == '"':
					if strings.TrimFunc(cell.String(), unicode.IsSpace) == "" {
						return rows, true
					}
					if fault == FaultNone {
						fault, detail = FaultQuote, len(cells)
					}
				}
				cell.WriteByte(text[i])
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
		case fault != FaultNone:
		case len(cells) < columns && !ended:
			fault, detail = FaultCutOff, len(cells)
		case len(cells) != columns:
			fault, detail = FaultCells, len(cells)
		case single && !quotedFirst && strings.ContainsAny(raw, candidates):
			fault = FaultDelimiter
		}
		if fault != FaultNone {
			cells = nil
		}
		rows = append(rows, row{first, cells, fault, detail, raw})
	}
	return rows, false
}

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
	}
	return 0
}
