package document

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// NamePattern is an inbox's name_pattern (docs/contract.md 2, one file is enough): what the NAME
// of every drop must look like, and the sidecar keys that it holds.
type NamePattern struct {
	text   string
	regexp *regexp.Regexp
}

// nameGroups maps the groups of a name_pattern to the sidecar keys that they stand for.
func nameGroups() map[string]string {
	return map[string]string{"application": "applicationId", "campaign": "campaignId", "scheduleAt": "scheduleAt", "reference": "reference"}
}

// ParseNamePattern compiles a name_pattern. It matches a NAME as a whole.
func ParseNamePattern(text string) (*NamePattern, error) {
	if text == "" {
		return nil, errors.New("is empty; leave the key out to take every NAME")
	}
	if _, err := regexp.Compile(text); err != nil { // its own error, without the group around it
		return nil, fmt.Errorf("found %s: %w", quote(text), err)
	}
	compiled, err := regexp.Compile(`^(?:` + text + `)$`)
	if err != nil {
		return nil, fmt.Errorf("found %s: %w", quote(text), err)
	}
	known := []string{"application", "campaign", "scheduleAt", "reference"}
	for _, name := range compiled.SubexpNames() {
		if name != "" && !slices.Contains(known, name) {
			return nil, fmt.Errorf("has the group %s%s; a group is one of %s, or has no name", quote(name), didYouMean(name, known), list(known))
		}
	}
	return &NamePattern{text, compiled}, nil
}

// Read returns the sidecar keys that a NAME in NFC holds. file is the name of the drop's CSV, for
// messages. A NAME that doesn't match has a problem.
func (p *NamePattern) Read(file, name string) (*Sidecar, campaign.Problems) {
	var problems campaign.Problems
	side := &Sidecar{File: file, SlicingCondition: campaign.FragmentedSlots}
	groups := nameGroups()
	found := p.regexp.FindStringSubmatch(name)
	if found == nil {
		for _, group := range p.regexp.SubexpNames() {
			if group == "application" || group == "campaign" {
				side.position(groups[group]) // so that it isn't called missing as well
			}
		}
		problems.AddCode("name-pattern", file, 0, 0, "", "the name %s doesn't have the form that this inbox wants (name_pattern is %s): rename all files of the drop", quote(name), quote(p.text))
		return side, problems
	}
	for i, group := range p.regexp.SubexpNames() {
		if group == "" || found[i] == "" {
			continue
		}
		side.position(groups[group])
		if why := side.setFromName(group, found[i]); why != "" {
			problems.AddCode("name-pattern", file, 0, 0, groups[group], "the name says %s, %s", quote(found[i]), why)
		}
	}
	return side, problems
}

// setFromName sets the key that a group of the name_pattern stands for, or returns why it can't.
func (s *Sidecar) setFromName(group, value string) string {
	switch group {
	case "application", "campaign":
		id, err := strconv.ParseInt(value, 10, 64)
		if errors.Is(err, strconv.ErrRange) && id > 0 {
			return fmt.Sprintf("which is too large: the largest number is %d", id)
		}
		if err != nil || id < 1 {
			return "want the number of the " + group
		}
		if group == "application" {
			s.ApplicationID = &id
		} else {
			s.CampaignID = &id
		}
	case "scheduleAt":
		s.ScheduleAt = calendar.Punctuate(value) // read by When
	case "reference":
		if utf8.RuneCountInString(value) > MaxReference {
			return fmt.Sprintf("want a reference of at most %d characters", MaxReference)
		}
		s.Reference = value
	}
	return ""
}
