package check

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/send"
)

// channels compiles the campaign for every channel of the application that it allows.
func (c *Checker) channels(ctx context.Context, camp *campaign.Campaign, layout *document.Layout, f *Finding) *channelRules {
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
	for _, name := range slices.Sorted(maps.Keys(f.Application.Channels)) {
		if !slices.Contains(camp.ChannelTypes, name) {
			rules.notAllowed = append(rules.notAllowed, name)
			continue
		}
		contents := campaign.ContentsFor(camp.Contents, name)
		channel := recipients.Channel{Name: name, Contacts: f.Application.ContactRules(name), Check: drivers[name].CheckMessage}
		lengths, _ := drivers[name].(send.LengthChecker)
		if lengths != nil {
			channel.CheckContact = lengths.CheckContact
		}
		for i, content := range contents {
			t, err := drivers[name].Compile(content.Item, s.Variables)
			if err != nil {
				f.Problems.AddCode("campaign-content", camp.File, 0, 0, "messageContent", "message %d can't be sent on %s: %v", i+1, name, err)
				continue
			}
			channel.Templates = append(channel.Templates, t)
			if lengths != nil {
				channel.AcceptsUpTo = append(channel.AcceptsUpTo, lengths.AcceptsUpTo(t))
			}
			if checker, ok := drivers[name].(send.ItemChecker); ok {
				c.checkItem(ctx, checker, camp, f, i, name, content.Item)
			}
			if channel, ok := drivers[name].(send.MediaChannel); ok {
				f.addMedia(channel, camp, i, name, content.Item)
			}
		}
		rules.allowed = append(rules.allowed, channel)
		s.Channels = append(s.Channels, name)
		s.Receipts = s.Receipts || f.Application.Channels[name].Receipts()
		s.Messages = max(s.Messages, len(contents))
	}
	if len(rules.allowed) == 0 {
		f.Problems.AddCode("channel-none", camp.File, 0, 0, "channelTypes", "application %d has none of the channels %s; it has: %s",
			s.ApplicationID, strings.Join(camp.ChannelTypes, ", "), strings.Join(slices.Sorted(maps.Keys(f.Application.Channels)), ", "))
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

// itemTimeout limits what a channel may ask its receiver about one item.
const itemTimeout = 15 * time.Second

// checkItem checks an item against what the channel's receiver has.
func (c *Checker) checkItem(ctx context.Context, checker send.ItemChecker, camp *campaign.Campaign, f *Finding, i int, name string, item json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, itemTimeout)
	defer cancel()
	warnings, err := checker.CheckItem(ctx, item)
	if err != nil {
		f.Problems.AddCode("campaign-content", camp.File, 0, 0, "messageContent", "message %d can't be sent on %s: %v", i+1, name, err)
	}
	for _, text := range warnings {
		f.Sending.Warnings = append(f.Sending.Warnings, campaign.Problem{File: camp.File, Field: "messageContent",
			Message: fmt.Sprintf("message %d on %s: %s", i+1, name, text)})
	}
}

// addMedia checks the files that an item names and adds them to the sending.
func (f *Finding) addMedia(channel send.MediaChannel, camp *campaign.Campaign, i int, name string, item json.RawMessage) {
	files, err := channel.Media(item)
	if err != nil {
		f.Problems.AddCode("campaign-content", camp.File, 0, 0, "messageContent", "message %d can't be sent on %s: %v", i+1, name, err)
	}
	for _, one := range files {
		if !slices.Contains(f.Sending.Media, one) {
			f.Sending.Media = append(f.Sending.Media, one)
		}
	}
}

type channelRules struct {
	allowed    []recipients.Channel
	notAllowed []string
}
