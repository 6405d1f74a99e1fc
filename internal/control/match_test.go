package control_test

import (
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func TestMatch(t *testing.T) {
	known := []control.SendingName{
		{"20260313-000007", "spring"}, {"20260314-000042", "spring"}, {"20260314-000043", "summer"},
		{"20260315-000100", "42"}, {"20260401-000101", "20260401"}, {"20260402-000102", "a"}, {"20260402-000103", "b"},
		{"20260402-000104", "c"}, {"20260402-000105", "d"}, {"20260402-000106", "e"},
	}
	for _, test := range []struct {
		text string
		want campaign.ID
		code api.Code
		says string
	}{
		{text: "20260313-000007", want: "20260313-000007"},
		{text: "20260313", want: "20260313-000007"},
		{text: "2026031", code: api.CodeConflict, says: `"2026031" is a short form of 20260315-000100, 20260314-000043, 20260314-000042, 20260313-000007: give more of the id`},
		{text: "20260402", code: api.CodeConflict, says: `"20260402" is a short form of 20260402-000106, 20260402-000105, 20260402-000104, 20260402-000103 and 1 more: give more of the id`},
		{text: "43", want: "20260314-000043"},
		{text: "000043", want: "20260314-000043"},
		{text: "spring", want: "20260314-000042"},
		{text: "20260401", want: "20260401-000101"}, // its name and its own short form
		{text: "42", code: api.CodeConflict, says: `"42" is the name of 20260315-000100 and also a short form of 20260314-000042: give the full id`},
		{text: "winter", code: api.CodeNotFound, says: `no sending has the id or the name "winter"; "campaignd status --all" lists them`},
		{text: "sprnig", code: api.CodeNotFound, says: `no sending has the id or the name "sprnig"; did you mean "spring"?`},
		{text: "20260314-000044", code: api.CodeNotFound, says: `no sending has the id or the name "20260314-000044"; "campaignd status --all" lists them`},
		{text: "", code: api.CodeNotFound, says: `no sending has the id or the name ""; "campaignd status --all" lists them`},
		{text: "0", code: api.CodeNotFound, says: `no sending has the id or the name "0"; "campaignd status --all" lists them`},
	} {
		id, err := control.Match(test.text, known)
		if id != test.want {
			t.Errorf("Match(%q) = %q, want %q", test.text, id, test.want)
		}
		code, says := "", ""
		if err != nil {
			code, says = string(api.CodeOf(err)), err.Error()
		}
		if code != string(test.code) {
			t.Errorf("Match(%q): got the code %q, want %q", test.text, code, test.code)
		}
		if says != test.says {
			t.Errorf("Match(%q): got the error %q, want %q", test.text, says, test.says)
		}
	}
}

func TestMessagesOf(t *testing.T) {
	var c campaign.Counts
	for o := range c {
		c[o] = uint64(o + 1)
	}
	m := api.MessagesOf(&campaign.Sending{Planned: 100, Rows: campaign.RowCounts{Duplicate: 50, Rejected: 60}}, c)
	switch {
	case m.Pending != 1:
		t.Errorf("m.Pending: got %v, want 1", m.Pending)
	case m.InFlight != 2:
		t.Errorf("m.InFlight: got %v, want 2", m.InFlight)
	case m.Retrying != 3:
		t.Errorf("m.Retrying: got %v, want 3", m.Retrying)
	case m.Sent != 4:
		t.Errorf("m.Sent: got %v, want 4", m.Sent)
	case m.Skipped != 10:
		t.Errorf("m.Skipped: got %v, want 10", m.Skipped)
	case m.Duplicate != 50:
		t.Errorf("m.Duplicate: got %v, want 50", m.Duplicate)
	case m.Rejected != 60:
		t.Errorf("m.Rejected: got %v, want 60", m.Rejected)
	}
	if m.Final() != 4+5+6+7+8+9+10 {
		t.Errorf("m.Final() = %v, want 49", m.Final())
	}
	if m.PercentOf() != 49 {
		t.Errorf("m.PercentOf() = %v, want 49", m.PercentOf())
	}
	if got := (api.Messages{}).PercentOf(); got != 0 {
		t.Errorf("nothing planned: %g percent", got)
	}
}
