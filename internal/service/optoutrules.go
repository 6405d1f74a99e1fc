package service

import (
	"fmt"
	"slices"
	"strings"

	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/store"
)

// OptOutRules returns how opt-outs are compared: by the normal form that the channel's kind of
// contact and the application's country give them. Their version changes with these, and with
// campaignd's own, whose number plans may be newer.
func OptOutRules(c *config.Config, version string) store.OptOutRules {
	type place struct {
		application int64
		channel     string
	}
	rules := map[place]contact.Rules{}
	other := map[int64]contact.Rules{} // of all channels, and of those that are gone
	parts := []string{version}
	for i := range c.Applications {
		a := &c.Applications[i]
		other[a.ID] = a.ContactRules("")
		for name := range a.Channels {
			rules[place{a.ID, name}] = a.ContactRules(name)
			parts = append(parts, fmt.Sprintf("%d %s %s %s", a.ID, name, a.Country, a.ContactRules(name).Kind()))
		}
	}
	slices.Sort(parts[1:])
	return store.OptOutRules{
		Version: strings.Join(parts, "\n"),
		Max:     uint64(c.MaxOptOuts),
		Key: func(dst []byte, application int64, channelType string, given []byte) []byte {
			r, known := rules[place{application, channelType}]
			if !known {
				r = other[application]
			}
			start := len(dst)
			dst, refused := r.OptOutKey(dst, given)
			if refused.Code != "" { // kept until it can be matched
				return append(dst[:start], given...)
			}
			return dst
		},
	}
}
