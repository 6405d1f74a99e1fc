package check

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/plan/document"
)

// documents holds what a drop's layout, sidecar and campaign say, or the defaults in their place.
type documents struct {
	layout       *document.Layout // nil if it can't be read, or the columns take its place
	layoutDigest [32]byte
	rules        *channelRules // nil if the campaign can't be sent
}

// reading keeps what was read of a drop's documents, so that what examines the drop and what checks it
// read them once.
type reading struct {
	of      readFrom
	finding Finding
	documents
}

// readFrom tells whether documents must be read again: unpacking a zip changes it.
type readFrom struct {
	csv             string // name of the CSV
	layout, sidecar Part
}

func (p *Parts) readFrom() readFrom { return readFrom{p.CSV.Name, p.Layout, p.Sidecar} }

func newReading(p *Parts) *reading {
	return &reading{of: p.readFrom(), finding: Finding{Sending: campaign.Sending{Name: p.Name, Condition: campaign.FragmentedSlots}}}
}

// documents reads everything of a drop but its CSV, once, and adds to f what was found.
func (c *Checker) documents(ctx context.Context, p *Parts, in *config.Inbox, f *Finding) (documents, error) {
	if p.documents == nil || p.documents.of != p.readFrom() {
		r := newReading(p)
		var err error
		if r.documents, err = c.readDocuments(ctx, p, in, &r.finding); err != nil {
			return documents{}, err
		}
		r.finding.Sending.Warnings = slices.Clip(r.finding.Sending.Warnings) // f adds more
		p.documents = r
	}
	before := f.Problems
	*f = p.documents.finding
	f.Problems = before
	f.Problems.Merge(p.documents.finding.Problems)
	return p.documents.documents, nil
}

func (c *Checker) readDocuments(ctx context.Context, p *Parts, in *config.Inbox, f *Finding) (d documents, err error) {
	if d.layout, d.layoutDigest, err = c.layout(p, in, f); err != nil {
		return d, err
	}
	if err = c.sidecar(p, in, f); err != nil {
		return d, err
	}
	f.swapped(p)
	camp, err := c.campaign(p, in, f)
	if err != nil {
		return d, err
	}
	d.rules = c.channels(ctx, camp, d.layout, f)
	if p.Layout.File == nil && in.Layout == config.LayoutColumns && d.rules != nil {
		f.columns = columnsLayout(p, in, d.rules, f)
	}
	return d, nil
}

// codeSwapped is the code of a document that has the content of the other kind.
const codeSwapped = "documents-swapped"

// swapped makes one problem of two documents that have each other's content.
func (f *Finding) swapped(p *Parts) {
	if list := f.Problems.List; len(list) != 2 || list[0].Code != codeSwapped || list[1].Code != codeSwapped {
		return
	}
	f.Problems = campaign.Problems{}
	f.Problems.AddCode(codeSwapped, p.Layout.Name, 0, 0, "", "has the content of a schedule, and %s that of a layout: swap their names", p.Sidecar.Name)
}

func (c *Checker) layout(p *Parts, in *config.Inbox, f *Finding) (*document.Layout, [32]byte, error) {
	part := p.Layout
	switch {
	case part.File != nil || in.Layout == "":
	case in.Layout == config.LayoutColumns:
		return nil, sha256.Sum256([]byte(config.LayoutColumns)), nil
	default:
		file, err := openFile(in.Layout)
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("read the inbox's layout: %w", err)
		}
		defer file.Close() // read only
		part = Part{Name: filepath.Base(in.Layout), File: file}
	}
	data, err := c.read(part, f)
	if err != nil || data == nil {
		return nil, [32]byte{}, err
	}
	layout, problems, warnings := document.ParseLayout(part.Name, data)
	if problems.Count > 0 && document.LooksLikeSidecar(data) {
		f.Problems.AddCode(codeSwapped, part.Name, 0, 0, "", "has the content of a schedule, not that of a layout; upload the layout under this name")
		return nil, sha256.Sum256(data), nil
	}
	f.Problems.Merge(problems.WithCode("layout-invalid"))
	f.Sending.Warnings = append(f.Sending.Warnings, warnings...)
	return layout, sha256.Sum256(data), nil
}

// read reads a document completely. It returns nil without an error if the document is too large,
// which is recorded as a problem.
func (c *Checker) read(part Part, f *Finding) ([]byte, error) {
	if part.File == nil {
		return nil, nil
	}
	if _, err := part.File.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %q: %w", part.Name, err)
	}
	data, err := document.Read(part.File)
	if errors.Is(err, document.ErrTooLarge) {
		f.Problems.AddCode("json-too-large", part.Name, 0, 0, "", "%v", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", part.Name, err)
	}
	return data, nil
}

// sidecar reads the sidecar, once, completes it with the defaults and adds to f what was found.
func (c *Checker) sidecar(p *Parts, in *config.Inbox, f *Finding) error {
	if p.schedule == nil || p.schedule.of != p.readFrom() {
		r := newReading(p)
		if err := c.readSidecar(p, in, &r.finding); err != nil {
			return err
		}
		p.schedule = r
	}
	warnings := f.Sending.Warnings // of the layout, all that f has yet
	f.Sending, f.Sidecar = p.schedule.finding.Sending, p.schedule.finding.Sidecar
	f.Sending.Warnings = warnings
	f.Problems.Merge(p.schedule.finding.Problems)
	return nil
}

func (c *Checker) readSidecar(p *Parts, in *config.Inbox, f *Finding) error {
	f.Sidecar = &document.Sidecar{File: p.Name + ".schedule.json", SlicingCondition: campaign.FragmentedSlots}
	if p.Sidecar.File != nil {
		data, err := c.read(p.Sidecar, f)
		if err != nil {
			return err
		}
		var problems campaign.Problems
		if data != nil {
			f.Sidecar, problems = document.ParseSidecar(p.Sidecar.Name, data)
			if problems.Count > 0 && document.LooksLikeLayout(data) {
				f.Sidecar, problems = nil, campaign.Problems{}
				problems.AddCode(codeSwapped, p.Sidecar.Name, 0, 0, "", "has the content of a layout, not that of a schedule; upload the schedule under this name")
			}
			f.Problems.Merge(problems.WithCode("schedule-invalid"))
		} else {
			f.Sidecar = nil
		}
	}
	return f.takeDefaults(p, in)
}

// campaign finds application and campaign and freezes the campaign's contents.
func (c *Checker) campaign(p *Parts, in *config.Inbox, f *Finding) (*campaign.Campaign, error) {
	s := &f.Sending
	file := p.Name + ".schedule.json"
	if p.Sidecar.Name != "" {
		file = p.Sidecar.Name
	}
	if f.Sidecar == nil {
		return nil, nil // its keys are unknown; its own errors are reported
	}
	wrong := func(code, key, format string, args ...any) {
		line, column := f.Sidecar.Place(key)
		in := file
		if from := f.Sidecar.FileOf(key); from != f.Sidecar.File {
			in = from
		}
		f.Problems.AddCode(code, in, line, column, key, format, args...)
	}
	missing := "is missing, and this inbox has no default for it"
	if p.Sidecar.File == nil {
		missing = "is missing: there is no such file, and this inbox has no default for it"
	}
	if s.ApplicationID == 0 && !f.Sidecar.Has("applicationId") {
		wrong("application-missing", "applicationId", "%s; it may send for: %s", missing, c.applicationIDs(in))
	}
	// Without an application that may send, the campaign would be a consequence.
	if s.CampaignID == 0 && !f.Sidecar.Has("campaignId") && (s.ApplicationID == 0 || in.Allows(s.ApplicationID) && c.Config.Application(s.ApplicationID) != nil) {
		wrong("campaign-missing", "campaignId", "%s; give the number of the campaign, e.g. \"campaignId\": 7", missing)
	}
	if s.ApplicationID == 0 {
		return nil, nil
	}
	if !in.Allows(s.ApplicationID) {
		wrong("application-not-allowed", "applicationId", "this inbox may not send for application %d; it may for: %s; was the drop meant for another inbox?", s.ApplicationID, c.applicationIDs(in))
		return nil, nil
	}
	f.Application = c.Config.Application(s.ApplicationID)
	if f.Application == nil {
		wrong("application-unknown", "applicationId", "there is no application %d; this inbox may send for: %s", s.ApplicationID, c.applicationIDs(in))
		return nil, nil
	}
	s.MaxLateness = f.Application.MaxLateness
	if s.CampaignID == 0 {
		return nil, nil
	}
	if !in.AllowsCampaign(s.CampaignID) {
		wrong("campaign-not-allowed", "campaignId", "this inbox may not send campaign %d; it may send: %s", s.CampaignID, display.Numbers(in.AllowCampaigns))
		return nil, nil
	}
	camp, why, details, err := c.Campaigns.Find(s.ApplicationID, s.CampaignID)
	if err != nil {
		return nil, err
	}
	if camp == nil && details.Count == 0 && len(in.AllowCampaigns) > 0 { // a partner learns nothing about others
		why = fmt.Sprintf("application %d has no campaign %d; this inbox may send: %s", s.ApplicationID, s.CampaignID, display.Numbers(in.AllowCampaigns))
	}
	switch {
	case camp == nil:
		wrong("campaign-unknown", "campaignId", "%s", why)
		f.Problems.Merge(details)
	case !camp.Enabled:
		wrong("campaign-disabled", "campaignId", "campaign %d is disabled; name another, or ask the operator to enable it", camp.ID)
	case camp.SendType != "proactive":
		wrong("campaign-reactive", "campaignId", "campaign %d has the sendType %q: only proactive campaigns can be sent from a drop", camp.ID, camp.SendType)
	}
	return camp, nil
}

// applicationIDs lists the applications that the inbox may send for. A partner learns nothing
// about others.
func (c *Checker) applicationIDs(in *config.Inbox) string {
	var ids []int64
	for _, a := range c.Config.Applications {
		if in.Allows(a.ID) {
			ids = append(ids, a.ID)
		}
	}
	return display.Numbers(ids)
}

// SidecarAndLimit returns the sidecar and the largest size of the CSV. A sidecar that can't be
// read is nil; its errors are reported by the check.
func (c *Checker) SidecarAndLimit(p *Parts, inbox *config.Inbox) (*document.Sidecar, int64) {
	f := &Finding{}
	if err := c.sidecar(p, inbox, f); err != nil {
		return nil, 0
	}
	app := c.Config.Application(f.Sending.ApplicationID)
	if app == nil {
		// It is rejected anyway; the largest limit of any application bounds the work.
		limit := int64(0)
		for i := range c.Config.Applications {
			limit = max(limit, c.Config.Applications[i].MaxFileSize)
		}
		return f.Sidecar, limit
	}
	return f.Sidecar, app.MaxFileSize
}
