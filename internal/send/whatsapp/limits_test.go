package whatsapp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// limits returns parameters that Meta would refuse. The component has a %s for the value, bad and good are JSON.
func limits() []struct{ name, component, bad, good, says string } {
	return []struct{ name, component, bad, good, says string }{
		{"amount beyond 32 bits", `{"type":"body","parameters":[{"type":"currency","currency":{"fallback_value":"x","code":"EUR","amount_1000":%s}}]}`, "2147483648", "2147483647", "up to 2147483647"},
		{"amount beyond 64 bits", `{"type":"body","parameters":[{"type":"currency","currency":{"fallback_value":"x","code":"EUR","amount_1000":%s}}]}`, "99999999999999999999", "1", "whole number"},
		{"currency without a code", `{"type":"body","parameters":[{"type":"currency","currency":{"fallback_value":"x","code":%s,"amount_1000":1}}]}`, `"EURO"`, `"EUR"`, "three capital letters"},
		{"latitude of letters", `{"type":"header","parameters":[{"type":"location","location":{"latitude":%s,"longitude":"3"}}]}`, `"abc"`, `"-90"`, "from -90 to 90"},
		{"latitude beyond the pole", `{"type":"header","parameters":[{"type":"location","location":{"latitude":%s,"longitude":"3"}}]}`, `95`, `40.4168`, "from -90 to 90"},
		{"longitude", `{"type":"header","parameters":[{"type":"location","location":{"latitude":"3","longitude":%s}}]}`, `"NaN"`, `"180"`, "from -180 to 180"},
		{"header with two parameters", `{"type":"header","parameters":[{"type":"text","text":"a"}%s]}`, `,{"type":"text","text":"b"}`, "", "a header takes one"},
		{"parameter name twice", `{"type":"body","parameters":[{"type":"text","text":"a","parameter_name":"a"},{"type":"text","text":"b","parameter_name":%s}]}`, `"a"`, `"b"`, "is there twice"},
		{"coupon code with a space", `{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":%s}]}`, `"25 OFF"`, `"25OFF"`, "letters and digits"},
		{"coupon code of 16", `{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":%s}]}`, `"1234567890123456"`, `"123456789012345"`, "1 to 15"},
		{"payload of 257", `{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":%s}]}`, quoted(257), quoted(256), "may have 256"},
		{"URL text of 2001", `{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":%s}]}`, quoted(2001), quoted(2000), "may have 2000"},
	}
}

func quoted(n int) string { return `"` + strings.Repeat("é", n) + `"` }

func templateWith(component, value string) string {
	if strings.Contains(component, "%s") {
		component = fmt.Sprintf(component, value)
	}
	return `{"template":{"name":"a","language":"es","components":[` + component + `]}}`
}

// A fixed value that Meta would refuse is refused in the campaign.
func TestCampaignExceedsMetasLimits(t *testing.T) {
	c := driver(t, "", nil)
	for _, x := range limits() {
		t.Run(x.name, func(t *testing.T) {
			if _, err := c.Compile(json.RawMessage(templateWith(x.component, x.bad)), nil); err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v for %.40s; want it to say %q", err, x.bad, x.says)
			}
			if _, err := c.Compile(json.RawMessage(templateWith(x.component, x.good)), nil); err != nil {
				t.Errorf("got %v for %.40s; want no error", err, x.good)
			}
		})
	}
}

// A cell that Meta would refuse is refused with its row.
func TestRowExceedsMetasLimits(t *testing.T) {
	c := driver(t, "", nil)
	for _, x := range limits() {
		var bad, good string
		if json.Unmarshal([]byte(x.bad), &bad) != nil || json.Unmarshal([]byte(x.good), &good) != nil || x.name == "parameter name twice" {
			continue // not a string, so it can't come from a cell
		}
		t.Run(x.name, func(t *testing.T) {
			item := templateWith(x.component, `"{{name}}"`)
			if err := c.CheckMessage([]byte(contact), render(t, c, item, bad)); err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v for %.40s; want it to say %q", err, bad, x.says)
			}
			if err := c.CheckMessage([]byte(contact), render(t, c, item, good)); err != nil {
				t.Errorf("got %v for %.40s; want no error", err, good)
			}
		})
	}
}
