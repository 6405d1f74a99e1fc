// Package partnerpage tells a partner what its inbox takes before the first drop: campaigns.txt, with
// applications, limits and campaigns, and examples/ with a drop of each campaign that passes the check
// as it is. It is a room of its own because the daemon writes the page and `campaignd partner kit`
// prints it.
//
// It takes no drop and knows no store. A fault is logged; other inboxes get their page.
package partnerpage

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/display"
	"campaignd/internal/plan/document"
	"campaignd/internal/preview"
)

// Page is what a partner can know about its inbox before the first drop (docs/contract.md 2).
type Page struct {
	Text     string            // campaigns.txt
	Examples map[string][]byte // files in examples/ by name
}

// New describes an inbox: applications, defaults, limits, and each campaign that it may send, with
// an example drop that passes the check as it is. dir takes temporary files.
func New(ctx context.Context, c *check.Checker, in *config.Inbox, dir string) (*Page, error) {
	all, _, err := c.Campaigns.All()
	if err != nil {
		return nil, err
	}
	w := &pageWriter{c: c, in: in, dir: dir, page: &Page{Examples: map[string][]byte{}}}
	w.line("# What you can send from this inbox")
	w.line("")
	w.line("campaignd writes this file and the folder examples/, and renews both when something changes.")
	w.line("To send a campaign, copy its three example files, give them a NAME of your own, fill in the CSV, and upload the")
	w.line("schedule last. The answer comes back in accepted/, done/ or failed/.")
	w.inbox()
	for i := range c.Config.Applications {
		a := &c.Config.Applications[i]
		if !in.Allows(a.ID) {
			continue
		}
		w.application(a)
		mine := slices.DeleteFunc(slices.Clone(all), func(one *campaign.Campaign) bool {
			return one.ApplicationID != a.ID || !in.AllowsCampaign(one.ID) || !one.Enabled || one.SendType == "reactive"
		})
		slices.SortFunc(mine, func(x, y *campaign.Campaign) int { return int(x.ID - y.ID) })
		if len(mine) == 0 {
			w.line("")
			w.line("It has no campaign that can be sent at the moment.")
		}
		for _, one := range mine {
			if err := w.campaign(ctx, a, one); err != nil {
				return nil, err
			}
		}
	}
	w.page.Text = w.text.String()
	return w.page, nil
}

type pageWriter struct {
	c    *check.Checker
	in   *config.Inbox
	dir  string
	page *Page
	text strings.Builder
}

func (w *pageWriter) line(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }

// fact writes one line of a list, if there is something to say.
func (w *pageWriter) fact(name, format string, args ...any) {
	if value := fmt.Sprintf(format, args...); value != "" {
		w.line("  %-17s %s", name, value)
	}
}

func (w *pageWriter) inbox() {
	in := w.in
	w.line("")
	w.line("## This inbox")
	w.line("")
	if in.Application != 0 {
		w.fact("default", "application %d, for drops whose schedule names none", in.Application)
	}
	if in.Campaign != 0 {
		w.fact("default", "campaign %d, for drops whose schedule names none", in.Campaign)
	}
	switch in.Layout {
	case "":
	case config.LayoutColumns:
		w.fact("layout", "not needed: the campaign's variables are the columns of their names; the contact is the first of %s", strings.Join(in.ContactColumns, ", "))
	default:
		w.fact("layout", "not needed: a drop without one gets the inbox's")
	}
	if in.Schedule != "" {
		w.fact("schedule", "%s, unless the drop brings its own", in.Schedule)
	}
	if in.NamePattern != "" {
		w.fact("NAME", "must match %s", in.NamePattern)
	}
	if in.RequireSidecar {
		w.fact("without schedule", "a drop waits, %s at most", calendar.FormatLength(in.PairTimeout))
	} else {
		w.fact("without schedule", "a drop is taken %s after its last change", calendar.FormatLength(in.SidecarWait))
	}
	w.fact("incomplete drops", "go to failed/ after %s", calendar.FormatLength(in.PairTimeout))
	if in.MaxDrops > 0 {
		w.fact("limit", "%s; more wait", display.Amount(in.MaxDrops, "unfinished drop"))
	}
	if in.MaxPendingBytes > 0 {
		w.fact("limit", "%s in all their files", config.FormatSize(in.MaxPendingBytes))
	}
}

func (w *pageWriter) application(a *config.Application) {
	w.line("")
	w.line("## Application %d %s", a.ID, a.Name)
	w.line("")
	w.fact("time zone", "%s", a.Timezone)
	if len(a.WindowTexts) > 0 {
		w.fact("sends at", "%s (minute, hour, day, month, weekday)", strings.Join(a.WindowTexts, "; "))
	} else {
		w.fact("sends at", "any time")
	}
	if a.Country != "" {
		w.fact("phone numbers", "without + and country code are read as %s", a.Country)
	} else {
		w.fact("phone numbers", "need + and their country code")
	}
	if s := a.Slicing; s.Enabled {
		w.fact("slots", "%s every %s, for drops of %s or more; other drops share them", display.Amount(s.Capacity, "message"), calendar.FormatLength(s.Slot), display.Amount(s.ActivationRecipients, "recipient"))
	}
	w.fact("limits", "%s and %s a CSV", display.Amount(a.MaxRows, "row"), config.FormatSize(a.MaxFileSize))
	w.fact("bad rows", "a drop is rejected if more than %g%% of its rows are bad", a.MaxBadRows*100)
	if a.DuplicateWindow > 0 {
		w.fact("the same again", "is rejected for %s, unless the schedule says \"resend\": true", calendar.FormatLength(a.DuplicateWindow))
	}
}

func (w *pageWriter) campaign(ctx context.Context, a *config.Application, one *campaign.Campaign) error {
	channels := slices.DeleteFunc(slices.Clone(one.ChannelTypes), func(name string) bool { _, ok := a.Channels[name]; return !ok })
	variables := document.Variables(one.Contents)
	w.line("")
	w.line("### Campaign %d %s", one.ID, one.Title)
	w.line("")
	w.fact("channels", "%s", strings.Join(channels, ", "))
	if len(variables) > 0 {
		w.fact("variables", "%s", strings.Join(variables, ", "))
	} else {
		w.fact("variables", "none")
	}
	if len(channels) == 0 {
		w.fact("example", "none: its channels aren't set up")
		return nil
	}
	name, found, err := w.example(ctx, a, one, channels, variables)
	if err != nil {
		return err
	}
	if found == nil {
		w.fact("example", "none: its variables need values that only you know")
		return nil
	}
	w.fact("example", "examples/%s.csv, .layout.json and .schedule.json", name)
	for i, p := range found.Sending.Previews {
		if i >= len(campaign.ContentsFor(one.Contents, p.ChannelType)) {
			break // the first recipient's messages
		}
		w.line("")
		w.line("  Message %d, as the first row of the example gets it:", p.Message)
		for _, line := range preview.Message(p.Content) {
			w.line("    | %s", line)
		}
	}
	return nil
}

// example adds an example drop that passes the check, and returns its name and what the check found;
// nil if no value is good.
func (w *pageWriter) example(ctx context.Context, a *config.Application, one *campaign.Campaign, channels, variables []string) (string, *check.Finding, error) {
	name := fmt.Sprintf("campaign-%d-of-%d", one.ID, a.ID)
	for _, value := range exampleValues(one.Contents) {
		files, err := exampleFiles(a, one, channels, variables, value)
		if err != nil {
			return "", nil, err
		}
		found, err := w.check(ctx, name, files)
		if err != nil {
			return "", nil, err
		}
		if found.Problems.Count == 0 {
			for ending, text := range files {
				w.page.Examples[name+ending] = text
			}
			return name, found, nil
		}
	}
	return "", nil, nil
}

// exampleFiles returns the files of an example drop by their ending.
func exampleFiles(a *config.Application, one *campaign.Campaign, channels, variables []string, value func(variable string) string) (map[string][]byte, error) {
	header, row, channel := []string{"contactCode"}, []string{exampleContact(a, channels[0])}, channels[0]
	if len(channels) > 1 {
		header, row, channel = append(header, "channelType"), append(row, channels[0]), "{{channelType}}"
	}
	fields := map[string]string{}
	for _, v := range variables {
		column := v
		if slices.Contains(header, v) {
			column += "_"
		}
		header, row = append(header, column), append(row, value(v))
		fields[v] = "{{" + column + "}}"
	}
	var table bytes.Buffer
	out := csv.NewWriter(&table)
	if err := out.WriteAll([][]string{header, row}); err != nil {
		return nil, err
	}
	layout, err := json.MarshalIndent(map[string]any{"contact": map[string]string{"contactCode": "{{contactCode}}", "channelType": channel}, "customFields": fields}, "", "  ")
	if err != nil {
		return nil, err
	}
	schedule := fmt.Sprintf("{\n  \"applicationId\": %d,\n  \"campaignId\": %d\n}\n", a.ID, one.ID)
	return map[string][]byte{".csv": table.Bytes(), ".layout.json": append(layout, '\n'), ".schedule.json": []byte(schedule)}, nil
}

// exampleContact returns a contact that the channel accepts. Nobody has it.
func exampleContact(a *config.Application, channel string) string {
	switch kind, _ := contact.ParseKind(a.Channels[channel].Contacts); kind {
	case contact.Phone:
		return "+34666777888"
	case contact.Email:
		return "ada@example.com"
	default:
		return "34666777888"
	}
}

// check checks an example like a drop of this inbox, except for the form of its NAME.
func (w *pageWriter) check(ctx context.Context, name string, files map[string][]byte) (*check.Finding, error) {
	p := &check.Parts{Name: name}
	defer p.Close()
	for ending, part := range map[string]*check.Part{".csv": &p.CSV, ".layout.json": &p.Layout, ".schedule.json": &p.Sidecar} {
		f, err := check.SpillFile(w.dir)
		if err != nil {
			return nil, err
		}
		*part = check.Part{Name: name + ending, File: f}
		if _, err := f.Write(files[ending]); err != nil {
			return nil, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	in := *w.in
	in.NamePattern = ""
	return w.c.Check(ctx, p, &in, nil, time.Now(), nil, nil, func(float64) {})
}
