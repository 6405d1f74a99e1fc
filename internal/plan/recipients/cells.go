package recipients

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
)

// cellKind is the result of looking at one cell of a used column (docs/contract.md 4).
// A ruined cell refuses its row; the other kinds are counted in a warning for each column.
type cellKind uint8

const (
	cellPlain cellKind = iota
	cellEmpty
	cellNoValue      // a word for "no value", such as NULL
	cellEncodedTwice // UTF-8 that was read in another encoding, such as Ã©
	cellErrorValue   // the error value of a spreadsheet
	cellHashes       // ####: the number was wider than its column
	cellExponent     // a number shortened by a spreadsheet
	cellFormula      // ="text", a spreadsheet's way to keep the zeros of a number
	cellReplacement  // U+FFFD
	cellControl      // a C1 control character
	cellNoResult     // csvfile.NoValue
	cellUncertain    // csvfile.Uncertain
	warned           = cellEncodedTwice + 1
)

// usedColumn is a column of the CSV whose cells reach a message or a report.
type usedColumn struct {
	index      int
	name       string
	contact    bool // part of the contactCode
	hasDefault bool // every use has a default for an empty cell
}

// usedColumns returns the columns that the texts use, each once. The channelType is not
// among them: it must be the name of a channel.
func (r *Checker) usedColumns() []usedColumn {
	var used []usedColumn
	add := func(t *text, contact bool) {
		for _, p := range t.parts {
			if p.cell < 0 {
				continue
			}
			filled := p.hasDefault()
			i := slices.IndexFunc(used, func(u usedColumn) bool { return u.index == p.cell })
			if i < 0 {
				used = append(used, usedColumn{p.cell, r.spec.Columns[p.cell], contact, filled})
				continue
			}
			used[i].contact = used[i].contact || contact
			used[i].hasDefault = used[i].hasDefault && filled
		}
	}
	if r.contact.cell < 0 { // the rules for contacts decide about a cell that is one
		add(&r.contact, true)
	}
	for i := range r.values {
		add(&r.values[i], false)
	}
	return used
}

// columnFinding is a cell of a row to be counted in a warning.
type columnFinding struct {
	column int // index of Checker.used
	kind   cellKind
}

// cellCount counts the cells of one kind in a column.
type cellCount struct {
	count uint64
	line  uint32 // of the first
}

// cells looks at the used cells of record i. It returns the refusal of a ruined one, nil if there is none, and
// leaves in out.found what is to be counted if the row is accepted.
func (r *Checker) cells(batch *csvfile.Batch, i int, out *Checked) *refusal {
	out.found = out.found[:0]
	for k := range r.used {
		u := &r.used[k]
		cell := batch.Cell(i, u.index)
		if isWord(cell) {
			continue
		}
		kind := classify(cell)
		if kind == cellPlain || u.hasDefault && kind == cellEmpty || u.contact && (kind == cellExponent || kind == cellFormula) { // the channel's rules for contacts say more
			continue
		}
		if code, reason := kind.refusal(); reason != "" {
			return &refusal{code: code, column: u.name, reason: reason, cell: u.index}
		}
		out.found = append(out.found, columnFinding{k, kind})
	}
	return nil
}

// countCells adds the findings of an accepted row to the counts.
func (c *Checked) countCells(line uint32) {
	for _, f := range c.found {
		one := &c.cellCounts[f.column*int(warned)+int(f.kind)]
		if one.count++; one.count == 1 {
			one.line = line
		}
	}
}

// refusal returns why a cell refuses its row, "" if it doesn't.
func (k cellKind) refusal() (code, reason string) {
	switch k {
	case cellErrorValue:
		return "cell-error-value", "a spreadsheet wrote an error value here; fix the formula and export the file again"
	case cellHashes:
		return "cell-error-value", "a spreadsheet wrote ### in place of a number, an error value for a column that is too narrow; widen the column and export the file again"
	case cellExponent:
		return "cell-exponent", "a spreadsheet shortened the number, like 1.23457E+15, and its last digits are lost; format the column as text, enter it again and export the file again"
	case cellFormula:
		return "cell-formula", `the cell is written ="text", which only a spreadsheet reads as the text; write the text alone`
	case cellReplacement:
		return "cell-unreadable", "the cell has the replacement character U+FFFD: a program before has lost a letter; export the file again as UTF-8"
	case cellControl:
		return "cell-control", "the cell has a C1 control character: its encoding was wrong before; export the file again as UTF-8"
	case cellNoResult:
		return "cell-no-value", "the cell is a formula, and the workbook doesn't have its result; open it in the spreadsheet program, save it and drop it again"
	case cellUncertain:
		return "cell-uncertain", "what the cell shows can't be told from the workbook; format it as text, or as a number without another format, and check it"
	}
	return "", ""
}

// isWord reports whether a cell is plain at first sight, as most are: ASCII that begins with a letter with which no unusual
// cell begins, or a short number. It serves only speed: classify calls other cells plain too.
func isWord(cell []byte) bool {
	if len(cell) == 0 {
		return false
	}
	first := cell[0]
	switch letter := first | 0x20; {
	case first >= '0' && first <= '9':
		return (len(cell) == 1 || cell[1] >= '0' && cell[1] <= '9') && !hasHigh(cell) // a shortened number has one digit
	case letter < 'a' || letter > 'z' || letter == 'e' || letter == 'f' || letter == 'n':
		return false
	}
	return !hasHigh(cell)
}

// classify looks at one cell. Most cells are decided by their first byte and one pass.
func classify(cell []byte) cellKind {
	cell = trimSpaces(cell)
	if len(cell) == 0 {
		return cellEmpty
	}
	if hasHigh(cell) {
		if kind := classifyText(cell); kind != cellPlain {
			return kind
		}
	}
	switch c := cell[0]; {
	case c >= 'a' && c != 'e' && c != 'f' && c != 'n' && c < utf8.RuneSelf: // most words
	case c == '#':
		if len(cell) > 2 && len(bytes.Trim(cell, "#")) == 0 {
			return cellHashes
		}
		switch {
		case string(cell) == csvfile.NoValue:
			return cellNoResult
		case string(cell) == csvfile.Uncertain:
			return cellUncertain
		case errorValue(string(cell)):
			return cellErrorValue
		}
	case c == '=':
		if len(cell) > 2 && cell[1] == '"' && cell[len(cell)-1] == '"' {
			return cellFormula
		}
	case c >= '0' && c <= '9' || c == '-' || c == '+':
		if len(cell) >= len("1E+15") && shortenedNumber(cell) {
			return cellExponent
		}
	case len(cell) <= len("Err:123")+4 && (c|0x20 == 'e' || c|0x20 == 'f' || c >= utf8.RuneSelf):
		if errorNumber(string(cell)) {
			return cellErrorValue
		}
	case len(cell) <= len("[NULL]") && (c|0x20 == 'n' || c == '\\' || c == '(' || c == '<' || c == '['):
		if noValue(string(cell)) {
			return cellNoValue
		}
	}
	return cellPlain
}

// hasHigh reports whether v has a byte beyond ASCII.
func hasHigh(v []byte) bool {
	const highBits = 0x8080808080808080
	n := len(v)
	switch { // words may overlap
	case n == 0:
		return false
	case n < 4:
		return v[0]|v[n/2]|v[n-1] >= utf8.RuneSelf
	case n < 8:
		return (binary.LittleEndian.Uint32(v)|binary.LittleEndian.Uint32(v[n-4:]))&(highBits>>32) != 0
	}
	high := binary.LittleEndian.Uint64(v[n-8:])
	for ; len(v) > 8; v = v[8:] {
		high |= binary.LittleEndian.Uint64(v)
	}
	return high&highBits != 0
}

// classifyText looks for characters that no text should have.
func classifyText(cell []byte) cellKind {
	kind := cellPlain
	for i := 0; i+1 < len(cell); i++ {
		if cell[i] < 0xC2 {
			continue
		}
		switch c, next := cell[i], cell[i+1]; {
		case c == 0xC2 && next < 0xA0:
			return cellControl
		case c == 0xEF && next == 0xBF && bytes.HasPrefix(cell[i+2:], []byte{0xBD}):
			return cellReplacement
		case c == 0xC3 && (next >= 0x82 && next <= 0x85 || next == 0x90 || next == 0x91 || next == 0xA2) && encodedTwice(cell[i:]):
			kind = cellEncodedTwice
		}
	}
	return kind
}

// encodedTwice reports whether text begins with a UTF-8 character whose bytes were read as
// Windows-1252: Ã, Â or â€, which begin the letters of Western Europe and the quotes, Ä, Å, Ð or Ñ, which begin those of
// Eastern Europe, before a character that Windows-1252 has for a continuation byte. After the latter, punctuation is ordinary.
func encodedTwice(text []byte) bool {
	first, size := utf8.DecodeRune(text)
	second, _ := utf8.DecodeRune(text[size:])
	switch first {
	case 'â':
		return second == '€'
	case 'Ä', 'Å', 'Ð', 'Ñ':
		return second >= 0xA2 && second <= 0xBE && !strings.ContainsRune("ª«\u00ad®´·º»", second) || strings.ContainsRune("‚ƒ„†‡ˆ‰Š‹ŒŽ˜š›œžŸ", second)
	}
	return second >= 0x80 && second <= 0xBF || strings.ContainsRune("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ", second)
}

// shortenedNumber reports whether v is a number as a spreadsheet shortens it: one digit,
// up to six decimals, E, a sign and an exponent.
func shortenedNumber(v []byte) bool {
	if v[0] == '-' || v[0] == '+' {
		v = v[1:]
	}
	if v[0] < '0' || v[0] > '9' || v[1] != '.' && v[1] != ',' && v[1] != 'E' {
		return false
	}
	v = v[1:]
	if v[0] != 'E' {
		rest, ok := digits(v[1:])
		if !ok || len(v)-1-len(rest) > 6 {
			return false
		}
		v = rest
	}
	if len(v) < 3 || v[0] != 'E' || v[1] != '+' && v[1] != '-' {
		return false
	}
	rest, ok := digits(v[2:])
	return ok && len(rest) == 0 && len(v) <= len("E+999")
}

// noValue reports whether a cell is a word by which programs write that there is no value.
func noValue(cell string) bool {
	for _, word := range []string{"null", "(null)", "[null]", "<null>", "nan", `\n`, "<na>"} {
		if strings.EqualFold(cell, word) {
			return true
		}
	}
	return cell == "None" // of Python; "none" is a word
}

// errorNumber reports whether a cell is an error value of LibreOffice: Err:502.
func errorNumber(cell string) bool {
	word, number, ok := strings.Cut(cell, ":")
	if !ok || len(number) != 3 || strings.Trim(number, "0123456789") != "" {
		return false
	}
	return slices.Contains([]string{"err", "error", "fehler", "erreur", "errore", "erro", "fout", "fel", "feil", "fejl", "błąd", "chyba", "hiba", "ошибка"},
		strings.TrimSpace(strings.ToLower(word)))
}

// errorValue reports whether a cell that begins with # is an error value of a spreadsheet.
// The words are those of Excel, LibreOffice and Google Sheets in their languages.
func errorValue(cell string) bool {
	word := strings.ToUpper(strings.Trim(cell[1:], "¡¿!?."))
	if strings.HasPrefix(word, "N/A ") || strings.HasSuffix(word, "/0") { // #N/A N/A of a data feed; #DEEL/0!
		return true
	}
	if strings.HasPrefix(word, "N/") {
		return len(word) <= len("N/DISP")
	}
	return slices.Contains(strings.Fields(errorWords), word)
}

const errorWords = "" +
	"REF VALUE NAME NUM NULL SPILL CALC FIELD BLOCKED CONNECT BUSY UNKNOWN PYTHON EXTERNAL GETTING_DATA ERROR " + // English
	"VALOR NOMBRE NÚM NULO DESBORDAMIENTO CAMPO BLOQUEADO CONECTAR OCUPADO DESCONOCIDO OBTENIENDO_DATOS " + // Spanish
	"VALEUR NOM NOMBRE NUL PROPAGATION CHAMP BLOQUÉ CHARGEMENT_DONNEES CALCUL " + // French
	"NOME DESPEJAR DESCONHECIDO BLOQUEADA DERRAME CÁLCULO " + // Portuguese
	"WERT BEZUG ZAHL NV ÜBERLAUF KALK FELD BLOCKIERT VERBINDEN DATEN_ABRUFEN LEER " + // German
	"VALORE RIF NULLO ESPANSIONE CALCOLO " + // Italian
	"WAARDE VERW GETAL LEEG NAAM NB OVERLOOP " + // Dutch
	"ARG ADR LICZBA NAZWA ZERO ROZLANIE HODNOTA ODKAZ NÁZOV NÁZEV ČÍSLO NENÍ_K_DISPOZICI DĚLENÍ_NULOU " + // Polish, Czech, Slovak
	"VÄRDEFEL REFERENS NAMN OGILTIGT SAKNAS SKÄRNING VERDI NAVN I/T VÆRDI REFERENCE ARVO VIITTAUS NIMI LUKU PUUTTUU TYHJÄ " + // Nordic
	"ÉRTÉK HIV NÉV SZÁM HIÁNYZIK NULLA DEĞER BAŞV AD SAYI YOK BOŞ " + // Hungarian, Turkish
	"ЗНАЧ ССЫЛКА ИМЯ ЧИСЛО ПУСТО Н/Д ДЕЛ/0 ПЕРЕНОС ΤΙΜΗ ΑΝΑΦ ΟΝΟΜΑ ΑΡΙΘ ΚΕΝΟ Δ/Υ ΔΙΑΙΡ/0" // Russian, Greek

// warnings returns a warning for each kind of unusual cell in each used column.
func (r *Checker) warnings(counts []cellCount) []campaign.Problem {
	var w []campaign.Problem
	for k, u := range r.used {
		for kind := cellEmpty; kind < warned; kind++ {
			one := counts[k*int(warned)+int(kind)]
			if one.count == 0 {
				continue
			}
			code, what := "cells-empty", "empty"
			switch kind {
			case cellNoValue:
				code, what = "cells-no-value", `sent as a word for "no value", such as NULL, nan, None or \N`
			case cellEncodedTwice:
				code, what = "cells-encoded-twice", `sent as UTF-8 that was read in another encoding, such as "Ã©" for "é"`
			}
			w = append(w, campaign.Problem{Code: code, File: r.spec.File, Line: int(one.line), Field: u.name,
				Message: fmt.Sprintf("%s %s; this is the first", cellsAre(one.count), what)})
		}
	}
	return w
}

// cellsAre is "1 cell is" or "2 cells are".
func cellsAre(n uint64) string {
	if n == 1 {
		return "1 cell is"
	}
	return display.Number(n) + " cells are"
}
