package intake

import (
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
)

// channels compiles the campaign for every channel of the application that it allows.
func (c *Checker) channels(camp *campaign.Campaign, layout *document.Layout, f *Finding) *channelRules {
	if camp == nil || f.Application == nil {
		return nil
	}
	s, rules := &f.Sending, &channelRules{}
	s.Contents = camp.Contents
	s.Variables = document.Variables(camp.Contents)
	if layout != nil && layout.Reference.Given() {
		s.Variables = append(s.Variables, campaign.ReferenceVariable)
	}
	drivers := c.Channels(s.ApplicationID)
	for _, name := range sortedKeys(f.Application.Channels) {
		if !slices.Contains(camp.ChannelTypes, name) {
			rules.notAllowed = append(rules.notAllowed, name)
			continue
		}
		contents := campaign.ContentsFor(camp.Contents, name)
		channel := recipients.Channel{Name: name, Contacts: f.Application.ContactRules(name), Check: drivers[name].CheckMessage}
		for i, content := range contents {
			t, err := drivers[name].Compile(content.Item, s.Variables)
			if err != nil {
				f.Problems.AddCode("campaign-content", camp.File, 0, 0, "messageContent", "message %d can't be sent on %s: %v", i+1, name, err)
				continue
			}
			channel.Templates = append(channel.Templates, t)
		}
		rules.allowed = append(rules.allowed, channel)
		s.Channels = append(s.Channels, name)
		s.Receipts = s.Receipts || f.Application.Channels[name].Receipts()
		s.Messages = max(s.Messages, len(contents))
	}
	if len(rules.allowed) == 0 {
		f.Problems.AddCode("channel-none", camp.File, 0, 0, "channelTypes", "application %d has none of the channels %s; it has: %s",
			s.ApplicationID, strings.Join(camp.ChannelTypes, ", "), strings.Join(sortedKeys(f.Application.Channels), ", "))
		return nil
	}
	if layout != nil {
		if name, fixed := layout.ChannelType.Constant(); fixed && name != "" && !slices.Contains(s.Channels, strings.TrimSpace(name)) {
			f.Problems.AddCode("channel-unknown", layout.File, layout.ChannelType.Line, layout.ChannelType.Column, "contact.channelType",
				"found %q; campaign %d can be sent on: %s", name, camp.ID, strings.Join(s.Channels, ", "))
			return nil // every row would fail
		}
	}
	return rules
}

type channelRules struct {
	allowed    []recipients.Channel
	notAllowed []string
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
