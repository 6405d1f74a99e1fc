package display

import (
	"math"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for got, want := range map[string]string{
		Number(0): "0", Number(999): "999", Number(1000): "1,000", Number(-999): "-999", Number(-1234567): "-1,234,567",
		Number(uint64(math.MaxUint64)): "18,446,744,073,709,551,615",
		Amount(1, "row"):               "1 row", Amount(0, "row"): "0 rows", Amount(2000, "row"): "2,000 rows",
		Bytes(0): "0 bytes", Bytes(1023): "1,023 bytes", Bytes(1536): "1.5 KiB", Bytes(300 << 20): "300 MiB", Bytes(5 << 40): "5.0 TiB", Bytes(6000 << 40): "6000 TiB",
		UTC(time.Date(2026, 11, 29, 16, 4, 5, 6, time.FixedZone("", 3600))):             "2026-11-29 15:04:05 UTC",
		Time(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), nil):                         "2026-03-02 10:00:00 UTC",
		Time(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), time.FixedZone("CET", 3600)): "2026-03-02 11:00:00 +01:00",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestHideNumbers(t *testing.T) {
	for s, want := range map[string]string{
		"":                              "",
		"call 34600000001, please":      "call #, please",
		"+34 911-222.333 and 911 22233": "+# and #",
		"code 17, 422 of 2026":          "code 17, 422 of 2026",
		"911  222  333":                 "911  222  333",
		"a1b2c3d4e5f6g7":                "a1b2c3d4e5f6g7",
		"ünï 1234567":                   "ünï #",
	} {
		if got := HideNumbers(s, 7, "#"); got != want {
			t.Errorf("HideNumbers(%q) = %q, want %q", s, got, want)
		}
	}
}
