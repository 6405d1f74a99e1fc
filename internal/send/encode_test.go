package send

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"campaignd/internal/campaign"
)

// standard is the message as package json writes it.
func standard(t *testing.T, m *Message) []byte {
	t.Helper()
	out, err := jsonv2.Marshal(m, jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func FuzzEncoder(f *testing.F) {
	f.Add("20261124-000007-42-1-9f3c01ab", "spring", int64(1), int64(7), "cloud_api", "34666111222", "Ana", 1, 1, int64(1764000000123456789))
	f.Add("", "a\"b\\\x00\u2028<&>", int64(-1), int64(1<<62), "téléfono", "\xff\xfe", "line\nend\t\"", 5, 15, int64(0))
	f.Fuzz(func(t *testing.T, key, ref string, app, camp int64, channel, contact, value string, number, attempt int, at int64) {
		template, err := campaign.Compile(json.RawMessage(`{"body":"hi {{v}}","list":[1,true,null,{"a":"{{v}}"}]}`), []string{"v"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var rows campaign.Rows
		rows.Reset(0, 1)
		rows.Lines = append(rows.Lines, 2)
		rows.Values[0].AppendString(value)
		m := &Message{Key: key, SendingID: campaign.ID(key), Reference: ref, ApplicationID: app, CampaignID: camp, ChannelType: channel,
			ContactCode: contact, Number: number, Content: template.Append(nil, &rows, 0), DueAt: time.Unix(0, at).UTC(), Attempt: attempt,
			SentAt: time.Unix(0, at/3).UTC()}
		if attempt%2 == 0 {
			m.To, m.RowReference = contact+key, key
		}
		var e Encoder
		for range 2 { // the second comes from what is kept
			if got, want := e.Append(nil, m), standard(t, m); !bytes.Equal(got, want) {
				t.Fatalf("wrote %s\n want %s", got, want)
			}
			m.Key, m.Attempt = m.Key+"x", m.Attempt+1
		}
		other := *m
		other.Reference, other.DueAt, other.SentAt, other.SendingID = ref+"y", m.DueAt.Add(1), m.SentAt.Add(time.Second), "z"
		if got, want := e.Append(nil, &other), standard(t, &other); !bytes.Equal(got, want) {
			t.Fatalf("after another message: wrote %s\n want %s", got, want)
		}
	})
}

func TestEncoderAllocatesNothing(t *testing.T) {
	m := &Message{Key: "20261124-000007-42-1-9f3c01ab", SendingID: "20261124-000007", ChannelType: "c", ContactCode: "34666111222",
		Content: json.RawMessage(`{"body":"hi"}`), DueAt: time.Now().UTC(), SentAt: time.Now().UTC()}
	var e Encoder
	buf := e.Append(nil, m)
	if n := testing.AllocsPerRun(100, func() { buf = e.Append(buf[:0], m) }); n > 0 {
		t.Errorf("%v allocations a message; want none", n)
	}
}
