package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/display"
	"campaignd/internal/source"

	"github.com/pelletier/go-toml/v2/unstable"
)

// reportFunc reports a fault of a value, at its offset.
type reportFunc func(at *node, format string, args ...any)

// Codec reads and writes the values of one kind. limits describes the allowed
// values, "" for all of the kind.
type Codec[V any] struct {
	kind   string
	limits string
	parse  func(n *node, bad reportFunc) (V, bool)
	format func(V) string
	hidden func(V) []string // returns the secrets in a value; nil: it has none
	secret bool             // the value refers to a secret
	output bool             // the value is the path of a file that campaignd writes
}

// kindName describes a node, with its value where that helps.
func kindName(n *node) string {
	switch n.kind {
	case unstable.Table:
		return "a table"
	case unstable.ArrayTable:
		return "a list of tables"
	case unstable.Array:
		return "a list"
	case unstable.String:
		return fmt.Sprintf("the string %q", clip(n.text))
	case unstable.Bool:
		return n.text
	case unstable.Integer, unstable.Float:
		return "the number " + clip(n.text)
	default:
		return "the date or time " + clip(n.text)
	}
}

func clip(s string) string { return display.Clip(s, 60) }

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isString(n *node, want string, bad reportFunc) bool {
	if n.kind != unstable.String {
		bad(n, "found %s where %s is wanted", kindName(n), want)
		return false
	}
	return true
}

// Text is the codec of a string that passes check, which may be nil. limits describes the
// allowed values. The error of check completes "KEY: …"; see Found.
func Text(limits string, check func(string) error) Codec[string] {
	return Codec[string]{kind: "string", limits: limits, format: quote,
		parse: func(n *node, bad reportFunc) (string, bool) {
			if !isString(n, "a string in quotes", bad) {
				return "", false
			}
			if check != nil {
				if err := check(n.text); err != nil {
					bad(n, "%v", err)
					return "", false
				}
			}
			return n.text, true
		}}
}

// OutputFile is the codec of the path of a file that the driver writes. No inbox may hold it.
func OutputFile() Codec[string] {
	c := Text("", notEmpty)
	c.output = true
	return c
}

// OneOf is the codec of a string out of choices.
func OneOf(choices ...string) Codec[string] {
	limits := strings.Join(choices, ", ")
	return Text(limits, func(s string) error {
		if slices.Contains(choices, s) {
			return nil
		}
		return fmt.Errorf("found %q; it is one of %s%s", clip(s), limits, source.DidYouMean(s, choices))
	})
}

// Texts is the codec of a list of strings that each pass check.
func Texts(limits string, check func(string) error) Codec[[]string] {
	one := Text(limits, check)
	return List("list of strings", one)
}

// natsServers is the codec of a list of one or more NATS servers.
func natsServers() Codec[[]string] {
	c := Texts("URLs such as tls://nats1.example:4222", natsURL)
	parse := c.parse
	c.parse = func(n *node, bad reportFunc) ([]string, bool) {
		servers, ok := parse(n, bad)
		if ok && len(servers) == 0 {
			bad(n, "is empty; name one server at least")
		}
		return servers, ok && len(servers) > 0
	}
	return c
}

// natsMonitors is the codec of a list of addresses of the HTTP monitoring of NATS servers.
func natsMonitors() Codec[[]string] {
	return Texts("URLs such as http://nats1.example:8222", natsMonitor)
}

// List is the codec of a list of values of one kind.
func List[V any](kind string, one Codec[V]) Codec[[]V] {
	return Codec[[]V]{kind: kind, limits: one.limits,
		parse: func(n *node, bad reportFunc) ([]V, bool) {
			if n.kind != unstable.Array {
				bad(n, "found %s where a %s in square brackets is wanted", kindName(n), kind)
				return nil, false
			}
			out, ok := []V(nil), true
			for _, item := range n.items {
				v, good := one.parse(item, bad)
				out, ok = append(out, v), ok && good
			}
			return out, ok
		},
		format: func(vs []V) string {
			all := make([]string, len(vs))
			for i, v := range vs {
				all[i] = one.format(v)
			}
			return "[" + strings.Join(all, ", ") + "]"
		}}
}

// Boolean is the codec of true and false.
func Boolean() Codec[bool] {
	return Codec[bool]{kind: "true or false", format: strconv.FormatBool,
		parse: func(n *node, bad reportFunc) (bool, bool) {
			if n.kind != unstable.Bool {
				bad(n, "found %s where true or false (without quotes) is wanted", kindName(n))
				return false, false
			}
			return n.text == "true", true
		}}
}

// Integer is the codec of a whole number from lo to hi.
func Integer[V int | int64 | uint32](lo, hi int64) Codec[V] {
	limits := fmt.Sprintf("%d to %d", lo, hi)
	if hi == math.MaxInt64 {
		limits = fmt.Sprintf("from %d", lo)
	}
	return Codec[V]{kind: "integer", limits: limits,
		format: func(v V) string { return strconv.FormatInt(int64(v), 10) },
		parse: func(n *node, bad reportFunc) (V, bool) {
			if n.kind != unstable.Integer {
				bad(n, "found %s where an integer is wanted", kindName(n))
				return 0, false
			}
			v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
			if errors.Is(err, strconv.ErrRange) && v > 0 {
				bad(n, "found %s; the largest number is %d", clip(n.text), hi)
				return 0, false
			}
			if err != nil || v < lo || v > hi {
				bad(n, "found %s; the range is %s", clip(n.text), limits)
				return 0, false
			}
			return V(v), true
		}}
}

// Number is the codec of any number from lo to hi.
func Number(lo, hi float64) Codec[float64] {
	limits := fmt.Sprintf("%s to %s", decimal(lo), decimal(hi))
	return Codec[float64]{kind: "number", limits: limits, format: decimal,
		parse: func(n *node, bad reportFunc) (float64, bool) {
			v, ok := numeric(n)
			if !ok {
				bad(n, "found %s where a number is wanted", kindName(n))
				return 0, false
			}
			if !(v >= lo && v <= hi) { // NaN is outside too
				bad(n, "found %s; the range is %s", clip(n.text), limits)
				return 0, false
			}
			return v, true
		}}
}

func numeric(n *node) (float64, bool) {
	plain := strings.ReplaceAll(n.text, "_", "")
	switch n.kind {
	case unstable.Integer:
		v, err := strconv.ParseInt(plain, 0, 64)
		return float64(v), err == nil || errors.Is(err, strconv.ErrRange) // then it is outside every range
	case unstable.Float:
		v, err := strconv.ParseFloat(plain, 64)
		return v, err == nil
	}
	return 0, false
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Length is the codec of a length of time from lo to hi.
func Length(lo, hi time.Duration) Codec[time.Duration] {
	limits := fmt.Sprintf("%s to %s", calendar.FormatLength(lo), calendar.FormatLength(hi))
	return Codec[time.Duration]{kind: "length", limits: limits,
		format: func(d time.Duration) string { return quote(calendar.FormatLength(d)) },
		parse: func(n *node, bad reportFunc) (time.Duration, bool) {
			if !isString(n, `a length of time in quotes, such as "250ms", "2s", "15m", "24h" or "90d",`, bad) {
				return 0, false
			}
			d, err := calendar.ParseLength(n.text)
			if err != nil {
				bad(n, "%v", err)
				return 0, false
			}
			if d < lo || d > hi {
				bad(n, "found %q; the range is %s", clip(n.text), limits)
				return 0, false
			}
			return d, true
		}}
}

// wholeSeconds restricts c to lengths without a fraction of a second.
func wholeSeconds(c Codec[time.Duration]) Codec[time.Duration] {
	parse := c.parse
	c.limits += ", whole seconds"
	c.parse = func(n *node, bad reportFunc) (time.Duration, bool) {
		d, ok := parse(n, bad)
		if ok && d%time.Second != 0 {
			bad(n, "found %q; a slot is a number of whole seconds", n.text)
			return 0, false
		}
		return d, ok
	}
	return c
}

// share is the codec of a part of a whole: "10%" or 0.1.
func share() Codec[float64] {
	const limits = `"0%" to "100%"`
	return Codec[float64]{kind: "share", limits: limits,
		format: func(v float64) string {
			percent := decimal(math.Round(v*1e6) / 1e4)
			if back, err := strconv.ParseFloat(percent, 64); err != nil || back/100 != v {
				return strconv.FormatFloat(v, 'e', -1, 64)
			}
			return quote(percent + "%")
		},
		parse: func(n *node, bad reportFunc) (float64, bool) {
			v, ok := math.NaN(), false
			switch digits, percent := strings.CutSuffix(n.text, "%"); {
			case n.kind == unstable.String && percent && strings.Trim(digits, "0123456789.") == "":
				var err error
				v, err = strconv.ParseFloat(digits, 64)
				v, ok = v/100, err == nil
			case n.kind == unstable.Float:
				v, ok = numeric(n)
			case n.kind == unstable.Integer && n.text == "0":
				v, ok = 0, true
			}
			if !ok || !(v >= 0 && v <= 1) {
				bad(n, `found %s where a share from %s is wanted, such as "10%%"`, kindName(n), limits)
				return 0, false
			}
			return v, true
		}}
}

// Size is the codec of a number of bytes from lo to hi: 1048576 or "2GiB".
func Size(lo, hi int64) Codec[int64] {
	limits := quote(FormatSize(lo)) + " to " + quote(FormatSize(hi))
	return Codec[int64]{kind: "size", limits: limits,
		format: func(v int64) string { return quote(FormatSize(v)) },
		parse: func(n *node, bad reportFunc) (int64, bool) {
			v, ok := int64(0), false
			switch n.kind {
			case unstable.Integer:
				var err error
				v, err = strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
				ok = err == nil || errors.Is(err, strconv.ErrRange)
			case unstable.String:
				v, ok = parseSize(n.text)
			}
			if !ok {
				bad(n, `found %s where a size is wanted, such as "64KiB", "100MiB" or "2GiB"`, kindName(n))
				return 0, false
			}
			if v < lo || v > hi {
				bad(n, "found %s; the range is %s", clip(n.text), limits)
				return 0, false
			}
			return v, true
		}}
}

// sizeUnits returns the units from the largest down: the first that divides a size is the one to write.
func sizeUnits() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

func parseSize(s string) (int64, bool) {
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if errors.Is(err, strconv.ErrRange) || int64(v) > math.MaxInt64/u.bytes {
			return math.MaxInt64, true // which is outside every range
		}
		return int64(v) * u.bytes, err == nil
	}
	return 0, false
}

// FormatSize formats a number of bytes as in the configuration, such as 2GiB.
func FormatSize(v int64) string {
	for _, u := range sizeUnits() {
		if v%u.bytes == 0 && v != 0 {
			return strconv.FormatInt(v/u.bytes, 10) + u.name
		}
	}
	return "0B"
}
