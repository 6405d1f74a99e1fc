package calendar

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseLength(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "2s": 2 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour,
		"90d": 90 * 24 * time.Hour, "0s": 0, "1h30m": 90 * time.Minute, "1d12h5s": 36*time.Hour + 5*time.Second,
		"007s": 7 * time.Second, "10us": 10 * time.Microsecond, "9223372036854775807ns": math.MaxInt64,
	} {
		if got, err := ParseLength(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "10": `has no unit: write "10s"`, "s": "whole numbers", "-1s": "whole numbers", "+1s": "whole numbers",
		"1.5h": `has "."`, "1 h": `has " h"`, " 1h": "whole numbers", "1w": `has "w"`, "5M": `has "M"`, "1m1h": `has "h"`, "1s1s": `has "s"`,
		"106752d": "too long", "99999999999999999999s": "too long", "9223372036854775807ns1ns": `has "ns"`, "106751d999h": "too long", "1h30": "no unit",
	} {
		if got, err := ParseLength(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormatLength(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "90m": 90 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour, "2d": 48 * time.Hour,
		"25h": 25 * time.Hour, "1us": time.Microsecond, "3ns": 3, "-2s": -2 * time.Second,
	} {
		if got := FormatLength(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		if got, err := ParseLength(FormatLength(d)); err != nil || got != d {
			t.Errorf("%d is written %q and read as %d, %v", d, FormatLength(d), got, err)
		}
	})
}
