package report

import (
	"fmt"
	"io"
	"testing"

	"campaignd/internal/campaign"
)

// BenchmarkResults is a million rows through results.csv.
func BenchmarkResults(b *testing.B) {
	l := newMemorySource(campaign.StateCompleted)
	for i := range campaign.ChunkRows {
		l.add(uint32(i+2), fmt.Sprint(34600000000+i), 0, sentBy("wamid.HBgLMzQ2NjY3Nzc4ODgVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"), campaign.Sent)
	}
	one := l.chunks[0]
	for len(l.chunks) < 244 {
		l.chunks = append(l.chunks, one)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Results(io.Discard, l, l.s.ID, Selection{}); err != nil {
			b.Fatal(err)
		}
	}
}
