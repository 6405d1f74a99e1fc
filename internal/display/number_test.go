package display

import (
	"math"
	"testing"
)

func TestNumber(t *testing.T) {
	for got, want := range map[string]string{
		Number(0): "0", Number(999): "999", Number(1000): "1,000", Number(-999): "-999", Number(-1234567): "-1,234,567",
		Number(uint64(math.MaxUint64)): "18,446,744,073,709,551,615",
		Amount(1, "row"):               "1 row", Amount(0, "row"): "0 rows", Amount(2000, "row"): "2,000 rows",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
