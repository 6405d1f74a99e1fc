package csvfile

import (
	"slices"
	"strings"
)

// settle decides the faults that depend on neighbors and returns the number of records
// that can be handed out. complete says that b has the last record of the file, force
// that no more text can be awaited.
//
// A line with a single cell may be the second half of the row before or the first half
// of the row after, cut by a line break outside quotes (docs/contract.md 4). The row
// before is spared before a known footer, and after a blank line if nothing but such
// lines follows.
func (r *Reader) settle(b *Batch, complete, force bool) int {
	all := b.records
	n, tail := len(all), len(all) // all[tail:] are single cells
	for tail > 0 && all[tail-1].single {
		tail--
	}
	if !complete {
		n-- // the next line may belong to the last record
		if tail > 0 && tail < len(all) && !force && all[tail].afterBlank() {
			n = tail - 1
		}
	}
	n = max(min(n, r.maxRecords), 0)
	before := r.afterBreak
	for i := range all[:n] {
		rec := &all[i]
		if rec.fault == FaultNone {
			switch {
			case before > 0:
				rec.fault, rec.detail = FaultNextTo, before
			case i+1 < len(all) && all[i+1].single && !footer(b.Raw(i+1)) &&
				!(all[i+1].afterBlank() && complete && tail == i+1) &&
				all[i+1].fault != FaultCutOff: // the whole file is refused
				rec.fault, rec.detail = FaultNextTo, all[i+1].line
			}
		}
		before = 0
		if rec.single {
			before = rec.line
			if rec.fault != FaultCutOff && footer(b.Raw(i)) {
				r.footers++
			}
		}
		if rec.blank|rec.empty > 0 || rec.wide {
			r.count(b, i)
		}
	}
	if n > 0 {
		r.afterBreak = before
	}
	return n
}

func (rec *record) afterBlank() bool { return rec.blank > 0 || rec.empty > 0 }

// footer reports whether a line with a single cell is one that programs write after the
// rows: dashes or equals signs, a number of rows in brackets, a total.
func footer(line []byte) bool {
	text := strings.ToLower(strings.Trim(string(line), " \t\""))
	if strings.Trim(text, "-=") == "" {
		return true
	}
	if inner, ok := strings.CutPrefix(text, "("); ok && strings.HasSuffix(inner, ")") {
		words := strings.Fields(strings.TrimSuffix(inner, ")"))
		return len(words) > 1 && strings.Trim(words[0], figures) == "" &&
			slices.ContainsFunc(rowWords(), func(word string) bool { return strings.HasPrefix(words[1], word) })
	}
	words := strings.TrimRight(text, figures+" ")
	return words != text && isTotal(strings.TrimRight(words, " :="))
}

// isTotal reports whether a text is a total's name: "total", "total de registros", "number of rows".
func isTotal(text string) bool {
	if slices.Contains(totalWords(), text) {
		return true
	}
	words := strings.Fields(text)
	if len(words) < 2 || len(words) > 4 || !slices.Contains(append(totalWords(), "number", "número", "numero", "nombre", "anzahl"), words[0]) {
		return false
	}
	for _, word := range words[1:] {
		isRow := slices.ContainsFunc(rowWords(), func(row string) bool { return strings.HasPrefix(word, row) })
		if !isRow && !slices.Contains([]string{"de", "of", "the", "der", "des", "di", "count", "number"}, word) {
			return false
		}
	}
	return true
}

const figures = "0123456789.,'"

// rowWords returns the beginnings of words for rows.
func rowWords() []string {
	return []string{"row", "record", "result", "fila", "registro", "ligne", "enregistrement", "linha", "righe", "riga", "zeile", "datens"}
}

// totalWords returns words for a total.
func totalWords() []string {
	return []string{"total", "totals", "grand total", "subtotal", "sub-total", "sum", "count", "rows",
		"totales", "suma", "filas", "registros", "totaux", "totais", "totale", "somme", "soma", "summe", "gesamt", "gesamtsumme", "insgesamt",
		"total general", "suma total", "total général", "total geral", "totale generale", "totale complessivo", "gesamtergebnis", "eindtotaal"} // of pivot tables
}
