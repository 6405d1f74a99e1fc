package check

import (
	"fmt"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/plan/document"
)

// inboxSchedule names, in messages, the keys that an inbox's schedule gives to sidecars.
const inboxSchedule = "schedule of the inbox"

// takeDefaults completes the sidecar: its keys win over those in the drop's NAME, and these over
// the inbox's (docs/contract.md 2, one file is enough).
func (f *Finding) takeDefaults(p *Parts, in *config.Inbox) error {
	levels := []*document.Sidecar{{ApplicationID: known(in.Application), CampaignID: known(in.Campaign)}}
	if in.Schedule != "" {
		schedule, _ := document.ParseSidecar(inboxSchedule, []byte(in.Schedule)) // checked by the load
		levels = append(levels, schedule)
	}
	if in.NamePattern != "" {
		pattern, err := document.ParseNamePattern(in.NamePattern)
		if err != nil {
			return fmt.Errorf("read name_pattern: %w", err)
		}
		fromName, problems := pattern.Read(p.CSV.Name, p.Name)
		f.Problems.Merge(problems)
		levels = append(levels, fromName)
	}
	if f.Sidecar != nil {
		levels = append(levels, f.Sidecar)
	}
	s := &f.Sending
	for _, one := range levels {
		if id := one.ApplicationID; id != nil {
			if *id != s.ApplicationID {
				s.CampaignID = 0 // a default campaign belongs to its own application
			}
			s.ApplicationID = *id
		}
		if one.CampaignID != nil {
			s.CampaignID = *one.CampaignID
		}
	}
	switch sc := f.Sidecar; {
	case sc == nil, sc.Has("campaignId") && sc.CampaignID == nil: // nobody knows which one it names
		s.CampaignID = 0
	case sc.Has("applicationId") && sc.ApplicationID == nil:
		s.ApplicationID, s.CampaignID = 0, 0
	}
	if sc := f.Sidecar; sc != nil {
		for _, one := range slices.Backward(levels[:len(levels)-1]) {
			sc.Complete(one)
		}
		s.Reference, s.DryRun, s.Condition = sc.Reference, sc.DryRun, sc.SlicingCondition
	}
	return nil
}

// known returns a configured number, nil if there is none.
func known(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// columnsLayout returns how the CSV's columns take the place of a layout.
func columnsLayout(p *Parts, in *config.Inbox, rules *channelRules, f *Finding) *document.ColumnsLayout {
	c := &document.ColumnsLayout{File: p.CSV.Name, Variables: f.Sending.Variables, Channels: f.Sending.Channels}
	var kinds []contact.Kind
	for _, channel := range rules.allowed {
		kinds = append(kinds, channel.Contacts.Kind())
	}
	c.Contacts = ContactColumns(in, kinds)
	return c
}

// ContactColumns returns the inbox's contact columns that may hold contacts of all the kinds.
func ContactColumns(in *config.Inbox, kinds []contact.Kind) []string {
	var names []string
	for _, column := range in.ContactColumns {
		if !slices.ContainsFunc(kinds, func(k contact.Kind) bool { return !fitsKind(column, k) }) {
			names = append(names, column)
		}
	}
	return names
}

// fitsKind reports whether a column of that name may hold contacts of a kind. A name that speaks
// of neither mail nor telephones may hold either.
func fitsKind(column string, kind contact.Kind) bool {
	column = strings.ToLower(column)
	speaksOf := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(column, word) })
	}
	switch kind {
	case contact.Phone, contact.Digits:
		return !speaksOf("mail", "correo")
	case contact.Email:
		return !speaksOf("phone", "fono", "tel", "mobile", "movil", "móvil", "celular", "msisdn", "whatsapp")
	case contact.Any:
	}
	return true
}

// noteDefaults warns that a drop came without a sidecar or layout, and lists the defaults that it
// got.
func (f *Finding) noteDefaults(p *Parts, in *config.Inbox, layout *document.Layout) {
	s := &f.Sending
	if p.Sidecar.File == nil && s.ApplicationID != 0 && s.CampaignID != 0 && f.Sidecar != nil {
		got := []string{fmt.Sprintf("application %d, campaign %d", s.ApplicationID, s.CampaignID), f.begins(), string(s.Condition)}
		if s.Reference != "" {
			got = append(got, fmt.Sprintf("reference %q", s.Reference))
		}
		if s.DryRun {
			got = append(got, "a dry run")
		}
		if f.Sidecar.Resend {
			got = append(got, "a resend is allowed")
		}
		used := "the defaults were"
		if slices.ContainsFunc([]string{"applicationId", "campaignId", "scheduleAt", "reference"}, func(key string) bool { return f.Sidecar.FileOf(key) == p.CSV.Name }) {
			used = "the drop's name and the defaults were"
		}
		f.warn(p.Name+".schedule.json", fmt.Sprintf("did not come, so %s used: %s", used, strings.Join(got, ", ")))
	}
	switch {
	case p.Layout.File != nil || in.Layout == "" || layout == nil || p.CSV.File == nil:
	case f.columns == nil:
		f.warn(p.Name+".layout.json", fmt.Sprintf("did not come, so the inbox's layout was used: %s", layout.File))
	case !layout.Incomplete():
		f.warn(p.Name+".layout.json", "did not come, so the columns were used: "+strings.Join(columnUses(layout), ", "))
	}
}

// begins says when a sending without a sidecar begins.
func (f *Finding) begins() string {
	switch sc := f.Sidecar; {
	case sc.ScheduleAt != "":
		return "begins at " + sc.ScheduleAt
	case sc.Delay != "":
		return "begins after " + sc.Delay
	}
	return "begins at once"
}

// columnUses lists what a layout of columns takes from where.
func columnUses(l *document.Layout) []string {
	from := func(t document.Text) string {
		if text, fixed := t.Constant(); fixed {
			return text
		}
		return fmt.Sprintf("column %q", t.Variables()[0])
	}
	uses := []string{"contactCode = " + from(l.ContactCode), "channelType = " + from(l.ChannelType)}
	for _, field := range l.Fields {
		if field.Name != campaign.ReferenceVariable {
			uses = append(uses, field.Name+" = "+from(field.Value))
		}
	}
	return uses
}
