package recipients

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
)

// trimSpaces removes the spaces around v, and no other white space.
func trimSpaces(v []byte) []byte {
	if len(v) > 0 && v[0] != ' ' && v[len(v)-1] != ' ' {
		return v
	}
	return bytes.Trim(v, " ")
}

// truncateContact returns a cell for a report, bounded.
func truncateContact(v []byte) string {
	if len(v) <= MaxContact {
		return string(v)
	}
	n := MaxContact
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return string(v[:n])
}

// fault describes the fault of record i of batch, which is reader's.
func (r *Checker) fault(reader *csvfile.Reader, batch *csvfile.Batch, i int) *refusal {
	fault, detail := batch.Fault(i)
	w := &refusal{cell: -1}
	columns := len(r.spec.Columns)
	switch fault {
	case csvfile.FaultCells:
		w.code, w.cell = "row-cells", min(detail, columns) // the first surplus cell, or the end
		counts := fmt.Sprintf("the row has %s and the header %d", cells(detail), columns)
		switch {
		case reader.Sheet():
			w.reason = "the row has a cell beyond the last column of the header; delete it, or name its column"
		case detail < columns:
			w.reason = counts + "; a missing cell needs its delimiter, even if it is empty"
		case endsWith(batch.Raw(i), reader.Delimiter(), detail-columns):
			w.reason = counts + "; remove the surplus delimiters at its end"
		default:
			w.reason = counts + "; a cell that holds the delimiter or a line break must be quoted"
		}
	case csvfile.FaultCutOff:
		w.code, w.cell = "row-cut-off", detail
		w.reason = fmt.Sprintf("the file ends within this row, which has %s and the header %d, and no line end: it is incomplete, or the line is a footer", cells(detail), columns)
	case csvfile.FaultBreak:
		if other := otherDelimiter(batch.Raw(i), reader.Delimiter(), columns); other != "" {
			w.code, w.reason = "row-delimiter", fmt.Sprintf("the row is separated by %q, but the header by %q; use one delimiter throughout", other, reader.Delimiter())
			break
		}
		w.code, w.cell = "row-broken", 1
		w.reason = fmt.Sprintf("the line has a single cell and the header %d: a line break outside quotes has cut a row here, or the line is not a row", columns)
	case csvfile.FaultNextTo:
		w.code = "row-broken"
		w.reason = fmt.Sprintf("line %d, beside this row, has a single cell: a line break outside quotes may have cut this row; put the cell in quotes, or remove that line", detail)
	case csvfile.FaultHeader:
		w.code, w.reason = "header-repeated", "the row repeats the header; remove it"
	case csvfile.FaultDelimiter:
		w.code, w.reason = "row-delimiter", "the header has one column, but the row holds another delimiter; put the cell in quotes if it is one"
	default:
		w.code = "row-quote"
		if detail < columns {
			w.column, w.cell = r.spec.Columns[detail], detail
		}
		w.reason = `a quote is inside a cell that doesn't begin with one; a cell with quotes is written "like ""this"" one"`
	}
	return w
}

// otherDelimiter returns the delimiter that divides a row of a single cell into as many cells as the header has, "" if none
// does. One alone is ordinary text.
func otherDelimiter(raw []byte, delimiter string, columns int) string {
	for _, other := range []string{",", ";", "\t", "|"} {
		if columns > 2 && other != delimiter && bytes.Count(raw, []byte(other)) == columns-1 {
			return other
		}
	}
	return ""
}

// endsWith reports whether the surplus cells at the end of a row are empty.
func endsWith(raw []byte, delimiter string, surplus int) bool {
	n := 0
	for ; len(raw) > 0 && n < surplus; raw = raw[:len(raw)-1] {
		switch last := raw[len(raw)-1]; {
		case last == delimiter[0]:
			n++
		case last != ' ':
			return false
		}
	}
	return n == surplus
}

func cells(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

// ContactReason returns why nothing can be sent to contact; "" if it can. It is for lists
// of contacts that are no drop, such as opt-outs: an opt-out of such a contact would
// match nobody.
func ContactReason(contact []byte) string {
	_, reason := contactReason(contact)
	return reason
}

// sizeReason returns why a contactCode can't be one, whatever its channel, with its code; "" if it can.
func sizeReason(contact []byte) (code, reason string) {
	switch {
	case len(contact) == 0:
		return "contact-empty", "the contactCode is empty"
	case len(contact) > MaxContact:
		return "contact-long", fmt.Sprintf("the contactCode has %s; the limit is %d", display.Amount(len(contact), "byte"), MaxContact)
	}
	return "", ""
}

// contactReason returns why contact can't be sent to as written, with its code; "" if it can.
func contactReason(contact []byte) (code, reason string) {
	if code, reason := sizeReason(contact); reason != "" {
		return code, reason
	}
	plain := true
	for _, c := range contact {
		// Every ruined number has an E; every other fault a byte beyond these.
		if c <= ' ' || c >= 0x7f || c == 'E' || c == 'e' || c == '#' {
			plain = false
			break
		}
	}
	if plain {
		return "", ""
	}
	if ruinedNumber(contact) {
		return "contact-ruined", "a spreadsheet ruined the number: it shows it with an exponent, like 3.46668E+10, and the digits are lost; format the column as text, enter it again and export the file again"
	}
	if kind := classify(contact); kind == cellErrorValue || kind == cellHashes || kind == cellNoResult || kind == cellUncertain {
		return kind.refusal()
	}
	if reason := unprintableReason(contact); reason != "" {
		return "contact-unprintable", reason
	}
	return "", ""
}

// ruinedNumber reports whether v is a number that was too long for a spreadsheet: digits,
// perhaps a point or comma and a fraction, E, perhaps a sign, digits. The fraction or the
// sign distinguishes it from an identifier like 12e5.
func ruinedNumber(v []byte) bool {
	if v[0] == '+' || v[0] == '-' {
		v = v[1:]
	}
	v, ok := digits(v)
	fraction := ok && len(v) > 0 && (v[0] == '.' || v[0] == ',')
	if fraction {
		v, ok = digits(v[1:])
	}
	if !ok || len(v) < 2 || v[0] != 'E' && v[0] != 'e' {
		return false
	}
	if v = v[1:]; v[0] == '+' || v[0] == '-' {
		v = v[1:]
	} else if !fraction {
		return false
	}
	v, ok = digits(v)
	return ok && len(v) == 0
}

// digits removes the digits at the beginning of v; false if there are none.
func digits(v []byte) ([]byte, bool) {
	n := 0
	for n < len(v) && v[n] >= '0' && v[n] <= '9' {
		n++
	}
	return v[n:], n > 0
}

// unprintableReason names the first invisible character of contact, "" if there is none:
// control characters, marks of direction, spaces other than the plain one.
func unprintableReason(contact []byte) string {
	n := 0
	for rest := contact; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		n++
		switch {
		case c == utf8.RuneError:
			return fmt.Sprintf("character %d of the contactCode can't be read; export the file as UTF-8", n)
		case c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0:
			return fmt.Sprintf("character %d of the contactCode is a control character (%U); remove it", n, c)
		case c != ' ' && (unicode.IsSpace(c) || unicode.In(c, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp)):
			return fmt.Sprintf("character %d of the contactCode is invisible (%U); remove it", n, c)
		}
		rest = rest[size:]
	}
	return ""
}

// allows reports whether channel is one of the campaign's.
func (r *Checker) allows(channel []byte) bool {
	return slices.ContainsFunc(r.spec.Channels, func(c Channel) bool { return c.Name == string(channel) })
}

// channelReason returns why nothing can be sent on channel, which the campaign doesn't
// have, with its code. It repeats the cell only if it is a channel's name: in a file
// whose cells have shifted it may be contact data.
func (r *Checker) channelReason(channel []byte) (code, reason string) {
	names := make([]string, len(r.spec.Channels))
	for i, c := range r.spec.Channels {
		names[i] = fmt.Sprintf("%q", c.Name)
	}
	allowed := "the campaign allows " + strings.Join(names, ", ")
	if len(channel) == 0 {
		return "channel-empty", "the channelType is empty; " + allowed
	}
	for _, name := range r.spec.NotAllowed {
		if string(channel) == name {
			return "channel-not-allowed", fmt.Sprintf("the campaign doesn't allow the channel %q; %s", name, allowed)
		}
	}
	for _, c := range r.spec.Channels {
		if strings.EqualFold(string(channel), c.Name) {
			return "channel-case", fmt.Sprintf("the channelType differs from %q in upper and lower case; write it like that", c.Name)
		}
	}
	return "channel-unknown", "the application has no channel of this name; " + allowed
}
