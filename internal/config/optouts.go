package config

import (
	"cmp"

	"campaignd/internal/contact"
)

// OptOutContacts returns a function that says why a text is not a contact that can opt out of a channel ("": of
// every channel) of the applications: it is one if any of these channels reads it as a contact. A channel of any
// contact doesn't count for what looks like a phone number that the channels of phone numbers can't read: its person
// would still be called there. The function returns "" for a contact, and isn't safe for concurrent use.
func (c *Config) OptOutContacts(applications []int64) func(channel string, text []byte) string {
	known := map[string][]contact.Rules{}
	return func(channel string, text []byte) string {
		rules, ok := known[channel]
		if !ok {
			rules = c.optOutRules(applications, channel)
			known[channel] = rules
		}
		refused, wrongNumber, takenByAny := "", "", false
		var buf [contact.BufferSize]byte
		for _, r := range rules {
			switch _, why := r.OptOutKey(buf[:0], text); {
			case why.Code != "" && r.Kind() == contact.Phone:
				wrongNumber = cmp.Or(wrongNumber, why.Text)
			case why.Code != "":
				refused = cmp.Or(refused, why.Text)
			case r.Kind() == contact.Any:
				takenByAny = true
			default:
				return ""
			}
		}
		if takenByAny && !(wrongNumber != "" && contact.LooksLikeNumber(text)) {
			return ""
		}
		return cmp.Or(wrongNumber, refused)
	}
}

// optOutRules returns the different rules of a channel, or of every channel, of the applications.
func (c *Config) optOutRules(applications []int64, channel string) (rules []contact.Rules) {
	seen := map[contact.Rules]bool{}
	for _, id := range applications {
		a := c.Application(id)
		if a == nil {
			continue
		}
		for name := range a.Channels {
			if r := a.ContactRules(name); (channel == "" || channel == name) && !seen[r] {
				seen[r] = true
				rules = append(rules, r)
			}
		}
	}
	return rules
}
