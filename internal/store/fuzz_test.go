package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// FuzzChunk: hostile bytes give an error, and what decodes encodes to the same.
func FuzzChunk(f *testing.F) {
	for _, r := range rowsOf(draft{rows: 5, channels: []string{"a", "b"}}) {
		f.Add(pack(r).data)
	}
	empty := &campaign.Rows{Lines: []uint32{0}, Channels: []uint8{0}}
	empty.Contacts.AppendString("")
	f.Add(pack(empty).data)
	numbers := &campaign.Rows{Lines: []uint32{2, 3}, Channels: []uint8{0, 1}}
	for _, one := range []string{"+34 666 777 888", "x"} {
		numbers.Contacts.AppendString(one)
	}
	numbers.Normal.AppendString("34666777888")
	numbers.Normal.AppendString("")
	f.Add(pack(numbers).data)
	numbers.Normal = numbers.Contacts
	f.Add(pack(numbers).data)
	f.Add([]byte{chunkFormat, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		head := codec.Reader{B: data}
		head.Byte()
		head.Uvarint()
		if size, err := s2.DecodedLen(head.B); err == nil && size > 1<<20 {
			return // unpacking it would take too much memory for the fuzzer
		}
		var rows, again campaign.Rows
		u := &unpacker{}
		if err := u.chunk(data, 0, &rows); err != nil {
			return
		}
		for i := range rows.Len() {
			rows.Contacts.At(i)
			rows.To(i)
			for j := range rows.Values {
				rows.Values[j].At(i)
			}
		}
		if err := u.chunk(pack(&rows).data, 0, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows.Normal, again.Normal, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		switch diff := cmp.Diff(rows.Contacts, again.Contacts); {
		case diff != "":
			t.Errorf("want no difference:\n%s", diff)
		case !cmp.Equal(rows.Lines, again.Lines):
			t.Errorf("want no difference:\n%s", cmp.Diff(again.Lines, rows.Lines))
		case len(rows.Values) != len(again.Values):
			t.Errorf("len(rows.Values) = %v, want %v", len(rows.Values), len(again.Values))
		}
	})
}

// FuzzBlock: hostile blocks of details give an error, and what decodes encodes to the same.
func FuzzBlock(f *testing.F) {
	var w blockWriter
	for i := range 40 {
		e := campaign.Entry{Row: uint32(i), Message: 1, At: time.Unix(1e9, 0), Provider: "wamid.HBgLMzQ2", Code: "470", Detail: "asked to wait"}
		w.add(&e, campaign.NewMessageStatus(campaign.Failed, 1))
	}
	f.Add(w.b)
	f.Add(packBlock(w.b))
	f.Add([]byte{blockOpen, 0, 9, 3, 0, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		// A few bytes unpack to entries without number, which would take seconds an input.
		if len(data) > 0 && data[0] == blockPacked {
			if size, err := s2.DecodedLen(data[1:]); err == nil && size > 2*blockBytes {
				return
			}
		}
		var list []campaign.Entry
		if err := decodeBlock(data, 0, func(e campaign.Entry) { list = append(list, e) }); err != nil {
			return
		}
		var w blockWriter
		for i := range list {
			status := campaign.NewMessageStatus(list[i].Outcome, int(list[i].Attempts))
			if list[i].MaybeDelivered {
				status = status.WithMaybeDelivered()
			}
			w.add(&list[i], status)
		}
		var again []campaign.Entry
		if len(list) > 0 {
			if err := decodeBlock(w.b, 0, func(e campaign.Entry) { again = append(again, e) }); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(list, again) {
			t.Error(cmp.Diff(list, again))
		}
	})
}

// FuzzRefusals, FuzzRecord: no panic.
func FuzzRefusals(f *testing.F) {
	f.Add(s2.Encode(nil, appendRefusal(nil, &campaign.Refusal{Line: 7, Outcome: campaign.Rejected, ContactCode: "3.4E+10", Reason: "ruined"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		if size, err := s2.DecodedLen(data); err == nil && size > 1<<20 {
			return
		}
		_, _ = decodeRefusals(0, data)
	})
}

func FuzzRecord(f *testing.F) {
	rec := record{id: "20260101-000007", state: campaign.StateSending, due: 7, application: 1, planned: 20, rows: 10, messages: 2, channels: []uint8{2, 1}}
	f.Add(rec.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := decodeRecord(data)
		if err != nil {
			return
		}
		again, err := decodeRecord(rec.encode())
		switch {
		case err != nil:
			t.Error(err)
		case !cmp.Equal(rec, again, cmp.AllowUnexported(record{})):
			t.Errorf("got %+v, want %+v", again, rec)
		}
		_, _ = decodeCounters(data)
		_, _ = decodeHeader(data)
	})
}

// TestChunkKeepsEverything: any cell survives packing.
func TestChunkKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.IntRange(0, 4).Draw(t, "values")
		cell := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9+./: -]{0,20}`), rapid.Just(""))
		rows := &campaign.Rows{}
		rows.Reset(campaign.ChunkRows, values)
		for range rapid.IntRange(1, 50).Draw(t, "rows") {
			rows.Lines = append(rows.Lines, rapid.Uint32().Draw(t, "line"))
			rows.Channels = append(rows.Channels, rapid.Uint8().Draw(t, "channel"))
			rows.Contacts.AppendString(cell.Draw(t, "contact"))
			for i := range values {
				rows.Values[i].AppendString(cell.Draw(t, "value"))
			}
		}
		var got campaign.Rows
		got.Reset(0, 7) // earlier content doesn't matter
		if err := (&unpacker{}).chunk(pack(rows).data, campaign.ChunkRows, &got); err != nil {
			t.Fatal(err)
		}
		text := func(r *campaign.Rows) (out []string) {
			for i := range r.Len() {
				out = append(out, string(r.Contacts.At(i)))
				for j := range r.Values {
					out = append(out, string(r.Values[j].At(i)))
				}
			}
			return out
		}
		switch diff := cmp.Diff(text(rows), text(&got)); {
		case diff != "":
			t.Fatalf("-want +got:\n%s", diff)
		case !cmp.Equal(rows.Lines, got.Lines):
			t.Fatalf("rows.Lines: got %v, want %v", rows.Lines, got.Lines)
		case !cmp.Equal(rows.Channels, got.Channels):
			t.Fatalf("rows.Channels: got %v, want %v", rows.Channels, got.Channels)
		case got.First != rows.First:
			t.Fatalf("got.First: got %v, want %v", got.First, rows.First)
		}
	})
}
