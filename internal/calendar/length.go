package calendar

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a unit of length in its written form.
type unit struct {
	name   string
	length time.Duration
}

// units returns the units of ParseLength from the largest to the smallest. A day is 24 hours here.
func units() []unit {
	return []unit{
		{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
		{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
	}
}

// ParseLength reads a length of time as the configuration writes it (docs/contract.md 11):
// "250ms", "2s", "15m", "24h", "90d", or several in falling order, "1h30m". A
// day is 24 hours. There are no signs, fractions or spaces; "0s" is a length.
func ParseLength(text string) (time.Duration, error) {
	if text == "" {
		return 0, fmt.Errorf(`length of time is empty: write one like "250ms", "2s", "15m", "24h" or "90d"`)
	}
	var sum time.Duration
	all, next := units(), 0
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		number, tail := rest[:digits], rest[digits:]
		letters := len(tail)
		if i := strings.IndexAny(tail, "0123456789"); i >= 0 {
			letters = i
		}
		name := tail[:letters]
		if number == "" {
			return 0, fmt.Errorf(`length of time %q is not whole numbers with units: write one like "250ms", "2s", "15m", "24h" or "90d"`, text)
		}
		if name == "" {
			return 0, fmt.Errorf(`length of time %q has no unit: write %q or another of ms, s, m, h, d`, text, text+"s")
		}
		found := -1
		for i := next; i < len(all); i++ {
			if all[i].name == name {
				found = i
			}
		}
		if found < 0 {
			return 0, fmt.Errorf(`length of time %q has %q where a unit belongs: units are d, h, m, s, ms, each once, from the largest to the smallest`, text, name)
		}
		n, err := strconv.ParseInt(number, 10, 64)
		length := all[found].length
		if err != nil || n > int64(math.MaxInt64-sum)/int64(length) {
			return 0, fmt.Errorf("length of time %q is too long: the longest is 106751d", text)
		}
		sum += time.Duration(n) * length
		next, rest = found+1, tail[letters:]
	}
	return sum, nil
}

// FormatLength writes a length so that ParseLength reads it back, as one number
// of the largest unit that fits it exactly: 90 minutes are "90m". One day is "24h", as
// people write it (docs/contract.md 11). Negative lengths, which ParseLength refuses, get a sign.
func FormatLength(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	all := units()
	for _, u := range all {
		if d%u.length == 0 && d != 24*time.Hour || d == 24*time.Hour && u.name == "h" {
			return strconv.FormatInt(int64(d/u.length), 10) + u.name
		}
	}
	return d.String()
}
