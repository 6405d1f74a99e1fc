package slots

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// FuzzSlices: hostile slices give an error, and what decodes encodes to the same.
func FuzzSlices(f *testing.F) {
	at := time.Unix(1_800_000_000, 0).UTC()
	f.Add(encode([]Slice{{Slice: campaign.Slice{Start: at, End: at.Add(time.Minute), Rows: 5, Recipients: 5}, Reserved: 10},
		{Slice: campaign.Slice{Start: at.Add(time.Hour), First: 5, Rows: 9}}}))
	f.Add([]byte{slicesFormat, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = decodePage(data)
		list, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(encode(list))
		switch {
		case err != nil:
			t.Errorf("%v: %v", list, err)
		case !cmp.Equal(Plain(list), Plain(again)):
			t.Errorf("got %v, want %v", again, list)
		}
	})
}
