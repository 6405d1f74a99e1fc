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
		switch line, column := s.Place(c.key); {
		case line != c.line:
			t.Errorf("%s: line = %v, want %v", c.key, line, c.line)
		case column != c.column:
			t.Errorf("%s: column = %v, want %v", c.key, column, c.column)
		case s.Has(c.key) != c.has:
			t.Errorf("%s: s.Has(c.key) = %v, want %v", c.key, s.Has(c.key), c.has)
		}
	}
	none := &Sidecar{File: "f"}
	switch line, column := none.Place("rows"); {
	case line != 0:
		t.Errorf("of no sidecar: line = %v, want 0", line)
	case column != 0:
		t.Errorf("of no sidecar: column = %v, want 0", column)
	case none.Has("rows"):
		t.Error("of no sidecar: none.Has(\"rows\") = true, want false")
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
