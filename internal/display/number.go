package display

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Number formats a whole number with commas between thousands, as in "2,000".
func Number[N int | int64 | uint32 | uint64](n N) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Amount formats a number with its noun, which takes an s: "1 row", "2,000 rows".
func Amount[N int | int64 | uint32 | uint64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Number(n) + " " + noun
}

// Bytes formats a size with a binary unit: "46 bytes", "1.5 KiB", "300 MiB".
func Bytes(n int64) string {
	if n < 1024 {
		return Amount(n, "byte")
	}
	v, units := float64(n)/1024, "KMGT"
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f %ciB", v, units[0])
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// UTC formats an instant within a sentence that people of any time zone may read: "2026-11-29 15:04:05 UTC". A value
// for a file or an option is ISO 8601 instead, so that it can be copied.
func UTC(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// Time is UTC for those who live by a time zone: "2026-11-29 16:04:05 +01:00". Without one it is UTC.
func Time(at time.Time, zone *time.Location) string {
	if zone == nil || zone == time.UTC {
		return UTC(at)
	}
	return at.In(zone).Format("2006-01-02 15:04:05 -07:00")
}

// Numbers lists numbers: "1, 2".
func Numbers(list []int64) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, ", ")
}

// HideNumbers returns s with substitute for each run of at least least digits, such as a phone number. The
// digits may have single spaces and other separators between them.
func HideNumbers(s string, least int, substitute string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end, digits := digitRun(s[i:])
		if digits >= least {
			b.WriteString(substitute)
			i += end
			continue
		}
		step := max(end, 1)
		b.WriteString(s[i : i+step])
		i += step
	}
	return b.String()
}

// digitRun returns the length of the run of digits and separators that s begins with, and
// the number of digits.
func digitRun(s string) (end, digits int) {
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b >= '0' && b <= '9':
			digits++
			end = i + 1
		case digits > 0 && end == i && strings.IndexByte(" -.()", b) >= 0:
		default:
			return end, digits
		}
	}
	return end, digits
}
