package spreadsheet

import (
	"math"
	"strconv"
	"strings"
)

// decimal is a number by its 15 significant digits, which is what a spreadsheet shows of it at most.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; "" is zero
	point    int    // how many of the digits are before the decimal point; may be outside of them
}

// parseDecimal reads a number as a workbook has it, such as 34666777003 or 3.4666777003E10.
func parseDecimal(raw string) (decimal, bool) {
	if strings.Trim(raw, "+-.0123456789eE") != "" {
		return decimal{}, false // Inf, hex, underscores
	}
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(v, 0) {
		return decimal{}, false
	}
	text := strconv.FormatFloat(math.Abs(v), 'e', 14, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	exp, err := strconv.Atoi(exponent)
	if err != nil {
		return decimal{}, false
	}
	digits := strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0")
	if digits == "" {
		return decimal{}, true
	}
	return decimal{v < 0, digits, exp + 1}, true
}

func (d decimal) sign() string {
	if d.negative {
		return "-"
	}
	return ""
}

// whole reports whether the number has no fraction.
func (d decimal) whole() bool { return len(d.digits) <= max(d.point, 0) }

// integer returns the digits before the decimal point, at least one.
func (d decimal) integer() string {
	switch {
	case d.point <= 0 || d.digits == "":
		return "0"
	case d.point >= len(d.digits):
		return d.digits + strings.Repeat("0", d.point-len(d.digits))
	}
	return d.digits[:d.point]
}

// fraction returns so many digits after the decimal point, without rounding.
func (d decimal) fraction(places int) string {
	digits := d.digits
	if d.point > 0 {
		digits = digits[min(d.point, len(digits)):]
	} else if digits != "" {
		digits = strings.Repeat("0", min(-d.point, places)) + digits
	}
	return (digits + strings.Repeat("0", places))[:places]
}

// plain returns the number without exponent.
func (d decimal) plain() string {
	if d.whole() {
		return d.integer()
	}
	return d.integer() + "." + d.fraction(len(d.digits)-d.point)
}

// round rounds half away from zero, as spreadsheets do.
func (d decimal) round(places int) decimal {
	keep := d.point + places
	switch {
	case keep >= len(d.digits):
		return d
	case keep < 0:
		return decimal{}
	}
	up := d.digits[keep] >= '5'
	digits := []byte(d.digits[:keep])
	for i := len(digits) - 1; up && i >= 0; i-- {
		if digits[i] < '9' {
			digits[i]++
			up = false
		} else {
			digits[i] = '0'
		}
	}
	if up {
		digits = append([]byte{'1'}, digits...)
		d.point++
	}
	d.digits = strings.TrimRight(string(digits), "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}
