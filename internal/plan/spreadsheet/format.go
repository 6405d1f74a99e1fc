package spreadsheet

import (
	"math"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/plan/csvfile"
)

// format is how a cell shows its number.
type format struct {
	kind     formatKind
	sections []section // of kind number: for positive numbers, negative ones, zero
	day      bool      // of kind date: it shows more than a time
}

type formatKind uint8

const (
	general formatKind = iota
	number
	date
	wholeOnly // only whole numbers are certain: it shows fractions, exponents or amounts in another way
)

// section is one part of a number format, such as 0.00 or 000-000.
type section struct {
	whole    []token // before the decimal point, from left to right
	decimals []token // after it
	percent  bool
	other    bool // it shows something else in place of the number
}

// token is a place for a digit ('0', '#' or '?') or a text.
type token struct {
	digit byte // 0: a text
	text  string
}

// builtin returns the code of a format that every workbook has (ECMA-376 part 1, 18.8.30). Those of
// East Asia are dates.
func builtin(id int) string {
	switch id {
	case 0:
		return "General"
	case 1, 3, 37, 38:
		return "0"
	case 2, 4, 39, 40:
		return "0.00"
	case 9:
		return "0%"
	case 10:
		return "0.00%"
	case 14, 15, 16, 17:
		return "yyyy/mm/dd"
	case 18, 19, 20, 21, 45, 47:
		return "hh:mm:ss"
	case 22:
		return "yyyy/mm/dd hh:mm"
	case 46:
		return "[h]:mm:ss"
	case 49:
		return "@"
	}
	if id >= 27 && id <= 36 || id >= 50 && id <= 58 {
		return "yyyy/mm/dd"
	}
	return "0E+0" // exponents, fractions, amounts in the currency of the machine
}

// parseFormat reads a number format.
func parseFormat(code string) format {
	f := format{kind: number}
	for _, text := range splitSections(code) {
		s, kind, parts := parseSection(text)
		if kind != number {
			return format{kind: kind, day: parts&partDay != 0}
		}
		f.sections = append(f.sections, s)
	}
	return f
}

// splitSections splits a format at the semicolons outside quotes, brackets and escapes.
func splitSections(code string) []string {
	var all []string
	start := 0
	for i := 0; i < len(code); i++ {
		switch code[i] {
		case '"':
			i += max(strings.IndexByte(code[i+1:], '"'), 0) + 1
		case '[':
			i += max(strings.IndexByte(code[i:], ']'), 0)
		case '\\', '_', '*':
			i++
		case ';':
			all = append(all, code[start:i])
			start = i + 1
		}
	}
	return append(all, code[min(start, len(code)):])
}

const (
	partDay = 1 << iota
	partClock
)

// parseSection reads one section of a format.
func parseSection(code string) (s section, kind formatKind, parts int) {
	if strings.EqualFold(code, "general") || code == "@" {
		return s, general, 0
	}
	digits, point := false, false
	add := func(t token) {
		if point {
			s.decimals = append(s.decimals, t)
		} else {
			s.whole = append(s.whole, t)
		}
	}
	rest := []rune(code)
	for i := 0; i < len(rest); i++ {
		switch r := rest[i]; r {
		case '0', '#', '?':
			digits = true
			add(token{digit: byte(r)})
		case '.':
			point = true
		case ',': // groups digits, or scales at the end
			if i+1 == len(rest) || !strings.ContainsRune("0#?", rest[i+1]) {
				return s, wholeOnly, 0
			}
		case '%':
			s.percent = true
			add(token{text: "%"})
		case '"':
			end := i + 1
			for end < len(rest) && rest[end] != '"' {
				end++
			}
			add(token{text: string(rest[i+1 : end])})
			i = end
		case '\\':
			if i++; i < len(rest) {
				add(token{text: string(rest[i])})
			}
		case '_', '*': // the width of a character, and one that fills the column
			i++
		case '[':
			end := strings.IndexRune(string(rest[i:]), ']')
			if end < 0 {
				return s, wholeOnly, 0
			}
			inside := string(rest[i:])[1:end]
			i += len([]rune(inside)) + 1
			switch symbol, isCurrency := strings.CutPrefix(inside, "$"); {
			case isCurrency:
				symbol, _, _ = strings.Cut(symbol, "-")
				add(token{text: symbol})
			case strings.Trim(strings.ToLower(inside), "hms") == "": // a length of time
				return section{other: true}, number, 0
			case !isColor(inside): // a condition
				return s, wholeOnly, 0
			}
		case 'y', 'Y', 'd', 'D':
			parts |= partDay
		case 'h', 'H', 's', 'S':
			parts |= partClock
		case 'm', 'M': // a month, or a minute beside hours or seconds
			if parts&partClock == 0 && !strings.ContainsAny(strings.ToLower(string(rest[i:])), "hs") {
				parts |= partDay
			}
		case 'a', 'A', 'p', 'P', '/', ':', 'T':
			if parts == 0 {
				return s, wholeOnly, 0 // a fraction
			}
		case ' ', '-', '+', '(', ')', '$', '€', '£', '¥', '!', '&', '~', '{', '}', '=', '<', '>', '^', '\'':
			add(token{text: string(r)})
		default:
			return s, wholeOnly, 0
		}
	}
	switch {
	case parts != 0:
		return s, date, parts
	case !digits: // a text, or nothing
		s.other = true
	}
	return s, number, 0
}

func isColor(name string) bool {
	switch name = strings.ToLower(name); name {
	case "black", "blue", "cyan", "green", "magenta", "red", "white", "yellow":
		return true
	}
	return strings.HasPrefix(name, "color")
}

// show returns what a cell with this format shows for the number raw, as the workbook has it:
// without grouping, with a decimal point, dates in ISO 8601. What is uncertain becomes
// csvfile.Uncertain, and a whole number of more than 15 digits, of which a spreadsheet loses the
// last ones, a number as it shortens it.
func (f *format) show(raw string, is1904 bool) (shown string, isDate bool) {
	d, ok := parseDecimal(raw)
	if !ok {
		return csvfile.Uncertain, false
	}
	switch {
	case f.kind == date:
		return f.showDate(raw, is1904)
	case d.point > 15:
		v, _ := strconv.ParseFloat(raw, 64)
		return strings.ToUpper(strconv.FormatFloat(v, 'e', 5, 64)), false
	case d.whole() && f.kind != number:
		return d.sign() + d.integer(), false
	case f.kind == general:
		if text := d.plain(); len(d.digits)-d.point <= 9 && len(text) <= 11 && d.point > -4 {
			return d.sign() + text, false
		}
		return csvfile.Uncertain, false // a narrow column shows fewer digits
	case f.kind == wholeOnly:
		return csvfile.Uncertain, false
	}
	return f.showNumber(d), false
}

// showNumber shows a number by the section for its sign.
func (f *format) showNumber(d decimal) string {
	s, sign := &f.sections[0], d.sign()
	switch {
	case d.negative && len(f.sections) > 1:
		s, sign = &f.sections[1], ""
	case d.digits == "" && len(f.sections) > 2:
		s = &f.sections[2]
	}
	if s.other {
		return csvfile.Uncertain
	}
	if s.percent {
		d.point += 2
	}
	places := 0
	for _, t := range s.decimals {
		if t.digit != 0 {
			places++
		}
	}
	d = d.round(places)
	whole, fraction := d.integer(), d.fraction(places)
	if d.digits == "" {
		sign = ""
	}
	return strings.TrimSpace(sign + showWhole(s.whole, whole) + showDecimals(s.decimals, fraction))
}

// showWhole puts digits into their places, from right to left.
func showWhole(tokens []token, digits string) string {
	if digits == "0" {
		digits = "" // shown only where a 0 asks for it
	}
	first := len(tokens)
	for i, t := range tokens {
		if t.digit != 0 {
			first = i
			break
		}
	}
	out := ""
	for i := len(tokens) - 1; i >= 0; i-- {
		t := tokens[i]
		switch {
		case t.digit == 0:
			out = t.text + out
			continue
		case digits != "":
			out = digits[len(digits)-1:] + out
			digits = digits[:len(digits)-1]
		case t.digit == '0':
			out = "0" + out
		}
		if i == first {
			out = digits + out
		}
	}
	if first == len(tokens) { // no place before the point
		out += digits
	}
	return out
}

// showDecimals puts the digits after the point into their places.
func showDecimals(tokens []token, digits string) string {
	last := -1 // the last place that shows a digit
	n := 0
	for i, t := range tokens {
		if t.digit == 0 {
			continue
		}
		if t.digit == '0' || strings.Trim(digits[n:], "0") != "" {
			last = i
		}
		n++
	}
	out, n := "", 0
	if last >= 0 {
		out = "."
	}
	for i, t := range tokens {
		switch {
		case t.digit == 0:
			out += t.text
		case i <= last:
			out += digits[n : n+1]
			n++
		}
	}
	return out
}

// The days that Excel has: from 1 January 1900, and it takes 1900 for a leap year, to the end of
// 9999.
const (
	firstCertainDay = 61
	lastDay         = 2_958_465
	days1904        = 1462
)

// showDate returns a day, a time or both in ISO 8601.
func (f *format) showDate(raw string, is1904 bool) (shown string, isDate bool) {
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil || v < 0 || math.IsNaN(v) || v > lastDay {
		return csvfile.Uncertain, false
	}
	seconds := math.Round(v * 24 * 60 * 60)
	if !f.day && seconds < 24*60*60 {
		return time.Unix(int64(seconds), 0).UTC().Format("15:04:05"), true
	}
	if is1904 {
		seconds += days1904 * 24 * 60 * 60
	}
	if seconds < firstCertainDay*24*60*60 {
		return csvfile.Uncertain, false
	}
	days, rest := int(seconds)/(24*60*60), int(seconds)%(24*60*60)
	t := time.Date(1899, 12, 30, 0, 0, rest, 0, time.UTC).AddDate(0, 0, days)
	if rest == 0 {
		return t.Format(time.DateOnly), true
	}
	return t.Format("2006-01-02T15:04:05"), true
}
