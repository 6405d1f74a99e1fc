package document

import (
	"fmt"
	"slices"
	"strings"

	"campaignd/internal/campaign"
)

// MaxChannels is the most channelTypes a campaign may have: a row holds its
// channel as one byte.
const MaxChannels = 255

const campaignExample = `{"id": 7, "applicationId": 1, "title": "Welcome", "channelTypes": ["cloud_api"], "messageContent": [{"body": "Hello {{name}}"}]}`

// ParseCampaign reads a campaign file (docs/contract.md 6). enabled defaults to true and
// sendType to proactive. The campaign is nil only where the JSON is
// broken; with Count > 0 it must not be used.
func ParseCampaign(file string, data []byte) (*campaign.Campaign, campaign.Problems) {
	var found findingList
	root, ok := parse(&found, data, "campaign", campaignExample)
	if !ok {
		return nil, found.Problems(file, data)
	}
	s := shape{&found, data}
	s.keys(&root, "", []string{"id", "applicationId", "title", "enabled", "sendType", "channelTypes", "messageContent"}, nil)
	c := &campaign.Campaign{File: file, Enabled: true}
	if n := s.required(&root, "", "id", "a whole number from 1"); n != nil {
		c.ID, _ = s.integer(n, "id", 1)
	}
	if n := s.required(&root, "", "applicationId", "a whole number from 1"); n != nil {
		c.ApplicationID, _ = s.integer(n, "applicationId", 1)
	}
	if n := root.get("title"); n != nil {
		c.Title, _ = s.str(n, "title", "a string")
		if strings.ContainsFunc(c.Title, unprintable) {
			s.add(int(n.start), "title", "holds a control character, want plain text in one line")
		}
	}
	if n := root.get("enabled"); n != nil {
		c.Enabled = s.boolean(n, "enabled")
	}
	c.SendType = s.sendType(root.get("sendType"))
	if n := s.required(&root, "", "channelTypes", `a list of channels, e.g. ["cloud_api"]`); n != nil {
		c.ChannelTypes = s.channelTypes(n)
	}
	if n := s.required(&root, "", "messageContent", "a list of 1 to 5 message contents"); n != nil {
		c.Contents = s.contents(n, c.ChannelTypes)
	}
	return c, found.Problems(file, data)
}

func (s shape) sendType(n *node) string {
	known := []string{"proactive", "reactive"}
	if n == nil {
		return known[0]
	}
	text, ok := s.str(n, "sendType", `"proactive" or "reactive"`)
	if ok && !slices.Contains(known, text) {
		s.add(int(n.start), "sendType", "unknown sendType %s%s (want \"proactive\" or \"reactive\")", quote(text), didYouMean(text, known))
	}
	return text
}

func (s shape) channelTypes(n *node) []string {
	const want = `a list of channels, e.g. ["cloud_api"]`
	if n.kind != '[' {
		s.wrong(n, "channelTypes", want)
		return nil
	}
	if len(n.items) == 0 || len(n.items) > MaxChannels {
		s.add(int(n.start), "channelTypes", "found %d channels, want 1 to %d", len(n.items), MaxChannels)
		return nil
	}
	var names []string
	for i := range n.items {
		one, field := &n.items[i], fmt.Sprintf("channelTypes.%d", i)
		name, ok := s.str(one, field, `the name of a channel, e.g. "cloud_api"`)
		switch {
		case !ok:
		case strings.TrimSpace(name) != name || name == "" || strings.ContainsFunc(name, unprintable):
			s.add(int(one.start), field, "found %s, want the name of a channel without spaces around it, e.g. \"cloud_api\"", quote(name))
		case slices.Contains(names, name):
			s.add(int(one.start), field, "the channel %s is listed a second time; keep one of them", quote(name))
		default:
			names = append(names, name)
		}
	}
	return names
}

// contents reads messageContent and checks that every channel gets 1 to 5 messages.
func (s shape) contents(n *node, channels []string) []campaign.Content {
	const field = "messageContent"
	if n.kind != '[' {
		s.wrong(n, field, fmt.Sprintf("a list of 1 to %d message contents, each an object", campaign.MaxMessages))
		return nil
	}
	if most := campaign.MaxMessages * max(len(channels), 1); len(n.items) == 0 || len(n.items) > most {
		s.add(int(n.start), field, "found %d message contents, want 1 to %d for each channel", len(n.items), campaign.MaxMessages)
		return nil
	}
	var all []campaign.Content
	for i := range n.items {
		all = append(all, s.content(&n.items[i], fmt.Sprintf("%s.%d", field, i), channels))
	}
	for _, channel := range channels {
		if count := len(campaign.ContentsFor(all, channel)); count < 1 || count > campaign.MaxMessages {
			s.add(int(n.start), field, "the channel %s has %d message contents, want 1 to %d", quote(channel), count, campaign.MaxMessages)
		}
	}
	return all
}

// content reads one item: it removes channelType, checks the variables and keeps the
// rest as written, for the driver to interpret.
func (s shape) content(n *node, field string, channels []string) campaign.Content {
	var c campaign.Content
	if n.kind != '{' {
		s.wrong(n, field, `an object, e.g. {"body": "Hello {{name}}"}`)
		return c
	}
	c.Item = slices.Clone(s.raw(n))
	for i := range n.members {
		m := &n.members[i]
		if m.name != "channelType" {
			s.checkVariables(&m.value, join(field, m.name))
			continue
		}
		text, ok := s.str(&m.value, join(field, m.name), "one of the campaign's channelTypes")
		if ok && len(channels) > 0 && !slices.Contains(channels, text) {
			s.add(int(m.value.start), join(field, m.name), "%s is none of the campaign's channelTypes%s (they are %s)", quote(text), didYouMean(text, channels), list(channels))
		}
		c.ChannelType = text
		c.Item = s.without(n, i)
	}
	if empty := len(n.members) == 0 || len(n.members) == 1 && c.ChannelType != ""; empty {
		s.add(int(n.start), field, `holds nothing to send, want e.g. "body": "Hello {{name}}"`)
	}
	return c
}

// without returns the text of the object n without its member i.
func (s shape) without(n *node, i int) []byte {
	from, to := n.members[i].at, n.members[i].value.end
	switch { // remove one of the two commas too
	case i+1 < len(n.members):
		to = n.members[i+1].at
	case i > 0:
		from = n.members[i-1].value.end
	}
	return slices.Concat(s.data[n.start:from], s.data[to:n.end])
}

// checkVariables restricts every variable in the strings of n to letters, digits and underscores.
func (s shape) checkVariables(n *node, field string) {
	for i := range n.members {
		s.checkVariables(&n.members[i].value, join(field, n.members[i].name))
	}
	for i := range n.items {
		s.checkVariables(&n.items[i], fmt.Sprintf("%s.%d", field, i))
	}
	if n.kind != '"' {
		return
	}
	var offsets []int
	segments := s.split(n, field, func(offset int) { offsets = append(offsets, offset) })
	k := 0
	for _, seg := range segments {
		if seg.Variable == "" {
			continue
		}
		if !campaign.VariableName(seg.Variable) {
			s.add(offsets[k], field, "the variable %s has other characters than letters, digits and underscores", quote(seg.Variable))
		}
		k++
	}
}

// Variables returns the variables that contents use, in order of first use: the
// values a sending keeps of each row. It skips contents that ParseCampaign would refuse.
func Variables(contents []campaign.Content) []string {
	var names []string
	seen := make(map[string]bool)
	for _, c := range contents {
		var ignored findingList
		root, ok := parse(&ignored, c.Item, "message content", "{}")
		if !ok {
			continue
		}
		shape{&ignored, c.Item}.collect(&root, func(name string) {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		})
	}
	return names
}

// collect calls use for each variable in the strings of n, in the order of the text.
func (s shape) collect(n *node, use func(name string)) {
	for i := range n.members {
		s.collect(&n.members[i].value, use)
	}
	for i := range n.items {
		s.collect(&n.items[i], use)
	}
	if n.kind != '"' {
		return
	}
	segments := s.split(n, "", func(int) {})
	for _, seg := range segments {
		if seg.Variable != "" {
			use(seg.Variable)
		}
	}
}
