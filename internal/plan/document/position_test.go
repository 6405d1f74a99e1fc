package document

import "testing"

func TestSidecarPlace(t *testing.T) {
	s, _ := ParseSidecar("f", []byte("\ufeff\n {\"rows\": \"3\",\n  \"applicationId\": 9, \"unknown\": 1}"))
	for _, c := range []struct {
		key          string
		line, column int
		has          bool
	}{
		{"rows", 2, 11, true}, // wrong, and there
		{"applicationId", 3, 20, true},
		{"campaignId", 2, 2, false}, // where the object begins
		{"unknown", 2, 2, false},
	} {
		if line, column := s.Place(c.key); line != c.line || column != c.column || s.Has(c.key) != c.has {
			t.Errorf("%s: %d:%d, there %v", c.key, line, column, s.Has(c.key))
		}
	}
	none := &Sidecar{File: "f"}
	if line, column := none.Place("rows"); line != 0 || column != 0 || none.Has("rows") {
		t.Errorf("of no sidecar: %d:%d", line, column)
	}
}

func TestLayoutIsIncomplete(t *testing.T) {
	for data, want := range map[string]bool{
		`{` + contact + `}`: false,
		`{` + contact + `,"customFields":{"a":"{{x}}","b":1}}`:           false,
		`{` + contact + `,"unknown":1}`:                                  false,
		`{` + contact + `,"customFields":{"a":null}}`:                    true,
		`{` + contact + `,"customFields":{"a":"{{x"}}`:                   true,
		`{` + contact + `,"customFields":[]}`:                            true,
		`{"contact":{"contactCode":"{{a}}"}}`:                            true,
		`{"contact":{"contactCode":" ","channelType":"cloud_api"}}`:      true,
		`{"contact":{"contactCode":"{{}}","channelType":"cloud_api"}}`:   true,
		`{"contact":{"contactCode":"{{a}}","channelType":"{{channel}"}}`: true,
		`{}`: true,
	} {
		l, _, _ := ParseLayout("f", []byte(data))
		if l.Incomplete() != want {
			t.Errorf("%s: %v", data, l.Incomplete())
		}
	}
}
