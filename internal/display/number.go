package display

import (
	"fmt"
	"strconv"
	"strings"
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

// Numbers lists numbers: "1, 2".
func Numbers(list []int64) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, ", ")
}
