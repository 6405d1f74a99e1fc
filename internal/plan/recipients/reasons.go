package recipients

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/plan/csvfile"
)

// trimSpaces drops the spaces around v; nothing else is taken for a space.
func trimSpaces(v []byte) []byte {
	if len(v) > 0 && v[0] != ' ' && v[len(v)-1] != ' ' {
		return v
	}
	return bytes.Trim(v, " ")
}

// truncateContact returns a cell as a report repeats it, bounded.
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

// fault says what is wrong with a record that could not be cut into cells.
func (r *Checker) fault(fault csvfile.Fault, detail int) refusal {
	w := refusal{cell: -1}
	columns := len(r.spec.Columns)
	switch fault {
	case csvfile.FaultCells:
		w.cell = min(detail, columns) // the first too many, or the end
		w.reason = fmt.Sprintf("the row has %s and the header %d; a cell that holds the delimiter or a line break must be quoted", cells(detail), columns)
		if detail < columns {
			w.reason = fmt.Sprintf("the row has %s and the header %d; a cell that is missing, if only an empty one, needs its delimiter", cells(detail), columns)
		}
	case csvfile.FaultCutOff:
		w.cell = detail
		w.reason = fmt.Sprintf("the file ends within this row, which has %s and the header %d: it was cut off; upload it again", cells(detail), columns)
	case csvfile.FaultDelimiter:
		w.reason = "the header has one column, but the row holds another delimiter; put the cell in quotes if it is one"
	default:
		if detail < columns {
			w.column, w.cell = r.spec.Columns[detail], detail
		}
		w.reason = `a quote is inside a cell that doesn't begin with one; a cell with quotes is written "like ""this"" one"`
	}
	return w
}

func cells(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

// ContactReason is why nothing can be sent to contact; "" if it can. It is for lists of
// contacts that are no drop, such as opt-outs: what could be sent to nobody keeps nobody from being sent to.
func ContactReason(contact []byte) string { return contactReason(contact) }

// contactReason is why contact can't be sent to; "" if it can.
func contactReason(contact []byte) string {
	switch {
	case len(contact) == 0:
		return "the contactCode is empty"
	case len(contact) > MaxContact:
		return fmt.Sprintf("the contactCode has %d bytes; it may have %d at the most", len(contact), MaxContact)
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
		return ""
	}
	if ruinedNumber(contact) {
		return "a spreadsheet ruined the number: it shows it with an exponent, like 3.46668E+10, and the digits are lost; format the column as text, enter it again and export the file again"
	}
	if spreadsheetError(contact) {
		return "a spreadsheet wrote an error value instead of the contactCode; fix the formula or widen the column and export the file again"
	}
	return unprintableReason(contact)
}

// ruinedNumber reports whether v is a number as spreadsheets write it when
// it is too long: digits, perhaps a fraction behind a point or comma, E, perhaps a sign, digits.
// The fraction or the sign tells it from an identifier like 12e5.
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

// digits drops the digits at the beginning of v; false if there are none.
func digits(v []byte) ([]byte, bool) {
	n := 0
	for n < len(v) && v[n] >= '0' && v[n] <= '9' {
		n++
	}
	return v[n:], n > 0
}

// spreadsheetError reports whether v is what a spreadsheet exports for a formula
// that failed, or, ####, for a number that is wider than its column.
func spreadsheetError(v []byte) bool {
	switch string(v) {
	case "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!":
		return true
	}
	return len(v) > 2 && strings.Trim(string(v), "#") == ""
}

// unprintableReason says which character of contact no one can see, "" if there is
// none: control characters, marks of direction, spaces that are not the plain one.
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

// channelReason is why nothing can be sent on channel, which is none of the
// campaign's. What the cell holds is said only where it is a channel's name:
// in a file whose cells have slipped it may be contact data.
func (r *Checker) channelReason(channel []byte) string {
	names := make([]string, len(r.spec.Channels))
	for i, c := range r.spec.Channels {
		names[i] = fmt.Sprintf("%q", c.Name)
	}
	allowed := "the campaign allows " + strings.Join(names, ", ")
	if len(channel) == 0 {
		return "the channelType is empty; " + allowed
	}
	for _, name := range r.spec.NotAllowed {
		if string(channel) == name {
			return fmt.Sprintf("the campaign doesn't allow the channel %q; %s", name, allowed)
		}
	}
	for _, c := range r.spec.Channels {
		if strings.EqualFold(string(channel), c.Name) {
			return fmt.Sprintf("the channelType differs from %q in upper and lower case; write it like that", c.Name)
		}
	}
	return "the application has no channel of this name; " + allowed
}
