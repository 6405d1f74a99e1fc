package inbound

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// FuzzDecodeDelivery: hostile bytes give an error, and what decodes encodes to the same.
func FuzzDecodeDelivery(f *testing.F) {
	d := delivery{Delivery: campaign.Delivery{Line: 7, Message: 1, State: campaign.Undelivered, At: time.Unix(50, 0).UTC(), Code: "131026", Detail: "no"}}
	f.Add(encodeDelivery(&d))
	d.attempt, d.resent = attemptOf("wamid.2"), []string{attemptOf("wamid.1")}
	f.Add(encodeDelivery(&d))
	f.Add([]byte{3, 0})
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := decodeDelivery(keyDelivery(1, 7, 1), value)
		if err != nil {
			return
		}
		again, err := decodeDelivery(keyDelivery(1, 7, 1), encodeDelivery(&got))
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(delivery{})); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}
