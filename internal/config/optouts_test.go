package config_test

import "testing"

// TestOptOutThatNoPhoneChannelReads: where an application sends to phone numbers and to any contact, an opt-out that only the
// latter reads is refused if it looks like a phone number, because its person would still be called.
func TestOptOutThatNoPhoneChannelReads(t *testing.T) {
	c := mustParse(t, `state_dir = "var"
campaigns_dir = "campaigns"
[[inboxes]]
path = "inbox"
application = 1
[[applications]]
id = 1
[applications.channels.log]
driver = "null"
contacts = "any"
[applications.channels.wa]
driver = "null"
contacts = "phone"
`)
	refusal := c.OptOutContacts([]int64{1})
	for text, want := range map[string]bool{
		"34666/777/108":             true,
		"34666777108 ext 4":         true,
		"34666777108 / 34666777109": true,
		"-34666777108":              true,
		"0666777108":                true,
		"٣٤/٦٦٦٧٧٧١٠٨":              true,
		"34666777108":               false,
		"+34 666-777-108":           false,
		"customer 42":               false,
		"A-123456":                  false,
		"1234567890@example.com":    false,
	} {
		if got := refusal("", []byte(text)); (got != "") != want {
			t.Errorf("%q: refusal %q, want one: %v", text, got, want)
		}
		if got := refusal("log", []byte(text)); got != "" {
			t.Errorf("%q for the channel of any contact: refusal %q", text, got)
		}
	}
}
