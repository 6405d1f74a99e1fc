package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/report"
	"campaignd/internal/send"
)

// Checker finds out what a drop would get. It needs neither store nor daemon, so that `campaignd
// check` and intake share it.
type Checker struct {
	Config    *config.Config
	Campaigns *Campaigns
	TempDir   string // folder of the files without a name that Unpack makes; "": the system's
	// Channels returns an application's drivers by channel name. They compile the
	// campaign's contents and check every rendered message.
	Channels func(application int64) map[string]send.Channel
	// PreviewRow is the number of the data row whose messages are previewed, from 1; 0
	// previews the first ones.
	PreviewRow uint32
}

// Finding is the result of a check.
type Finding struct {
	Sending          campaign.Sending // the frozen part, as far as it is known
	Problems         campaign.Problems
	Application      *config.Application     // nil if unknown
	Sidecar          *document.Sidecar       // nil if it can't be read
	RejectedCSV      []byte                  // header of rejected.csv, nil if there is no rejected row
	columns          *document.ColumnsLayout // of an inbox whose layout is "columns", for a drop without its own; nil: not used
	content          string                  // digest of the unpacked CSV
	documentProblems int                     // number of problems in layout, sidecar and campaign
	PreviewLine      uint32                  // line of the row of Checker.PreviewRow; 0: there is no such row
	PreviewRefusal   *campaign.Refusal       // why that row isn't sent, nil if it is
	verdict          string                  // why the rows as a whole are rejected
}

// Wrong reports whether the drop is to be rejected.
func (f *Finding) Wrong() bool {
	return f.Problems.Count > 0 && f.Sending.State == campaign.StateRejected
}

// rowWriter takes the rows of a check. Header is called before the first line of rejected.csv.
type rowWriter interface {
	recipients.RowWriter
	Header(line []byte)
}

// discard is the row writer of a check that stores nothing.
type discard struct{}

func (discard) Chunk(*campaign.Rows) error               { return nil }
func (discard) Refused([]campaign.Refusal, []byte) error { return nil }
func (discard) Header([]byte)                            {}

// Check reads every document and every row of a drop and finds all problems (docs/contract.md 3 to
// 6). in is the drop's inbox; info may be nil; now is the time of acceptance as far as it is
// known. With a nil rowWriter and spill, rows are checked and forgotten. progress is called with 0
// to 1. The error concerns this machine or ctx, never the drop.
func (c *Checker) Check(ctx context.Context, p *Parts, in *config.Inbox, info *csvfile.Info, now time.Time,
	sink rowWriter, spill recipients.Spill, progress func(float64)) (*Finding, error) {
	f := &Finding{}
	f.Sending.Name = p.Name
	f.Sending.Condition = campaign.FragmentedSlots

	if report.IsOwn(strings.ToLower(p.CSV.Name)) {
		f.Problems.AddCode("name-reserved", p.CSV.Name, 0, 0, "", "has the name of a file that campaignd writes next to it; give all files of the drop another name")
	}
	if err := c.Unpack(ctx, p, in); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		there bool
		name  string
	}{{p.CSV.File != nil, p.Name + ".csv"}, {p.Layout.File != nil || in.Layout != "", p.Name + ".layout.json"}} {
		if !part.there { // a daemon waits for both; `check` may be given only one
			f.Problems.AddCode("part-missing", part.name, 0, 0, "", "is missing; a drop is %s.csv with %s.layout.json", p.Name, p.Name)
		}
	}
	d, err := c.documents(ctx, p, in, f)
	if err != nil {
		return nil, err
	}
	f.checkTime(now)
	layout, err := c.csv(ctx, p, info, f, d, sink, spill, progress)
	if err != nil {
		return nil, err
	}
	f.noteDefaults(p, in, layout)
	f.Sending.Digest = dropDigest(f.Sending.ApplicationID, f.Sending.CampaignID, d.layoutDigest, f.content)
	c.conclude(f)
	return f, nil
}

// documents holds what a drop's layout, sidecar and campaign say, or the defaults in their place.
type documents struct {
	layout       *document.Layout // nil if it can't be read, or the columns take its place
	layoutDigest [32]byte
	rules        *channelRules // nil if the campaign can't be sent
}

// documents reads everything of a drop but its CSV. What is wrong is recorded in f.
func (c *Checker) documents(ctx context.Context, p *Parts, in *config.Inbox, f *Finding) (d documents, err error) {
	if d.layout, d.layoutDigest, err = c.layout(p, in, f); err != nil {
		return d, err
	}
	if err = c.sidecar(p, in, f); err != nil {
		return d, err
	}
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

// checkTime checks the time in the sidecar. Without an application, which is a problem of its own,
// it finds what would be wrong for any application.
func (f *Finding) checkTime(now time.Time) {
	if f.Sidecar == nil {
		return
	}
	zone, grace := time.UTC, maxGrace
	if f.Application != nil {
		zone, grace = f.Application.Location, f.Application.ScheduleGrace
	}
	_, problems, warnings := f.Sidecar.When(now, zone, grace)
	f.Problems.Merge(withCode(problems, "schedule-invalid"))
	if f.Application != nil {
		f.Sending.Warnings = append(f.Sending.Warnings, warnings...)
	}
}

// maxGrace is the largest schedule_grace that the configuration allows.
const maxGrace = 24 * time.Hour

// conclude sets state and reason of a drop that is rejected.
func (c *Checker) conclude(f *Finding) {
	s := &f.Sending
	f.sortProblems()
	s.Problems, s.ProblemCount = f.Problems.List, f.Problems.Count
	switch {
	case f.verdict != "" && f.documentProblems == 0:
		s.State, s.Reason = campaign.StateRejected, f.verdict
	case f.Problems.Count > int(s.Rows.Rejected):
		s.State = campaign.StateRejected
		wrong := f.Problems.Count
		if wrong == 1 {
			s.Reason = f.Problems.List[0].String()
		} else {
			s.Reason = fmt.Sprintf("%d errors were found", wrong)
		}
	}
	if s.State == campaign.StateRejected {
		s.Previews = nil // nothing is sent
	}
}

// sortProblems sorts the problems in the order of fixing them: file by file, from top to bottom.
func (f *Finding) sortProblems() {
	rank := func(p campaign.Problem) int {
		name := strings.ToLower(p.File)
		return slices.IndexFunc([]string{".layout.json", ".schedule.json", ".csv", ""}, func(ending string) bool { return strings.HasSuffix(name, ending) })
	}
	slices.SortStableFunc(f.Problems.List, func(a, b campaign.Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

func (c *Checker) layout(p *Parts, in *config.Inbox, f *Finding) (*document.Layout, [32]byte, error) {
	part := p.Layout
	switch {
	case part.File != nil || in.Layout == "":
	case in.Layout == config.LayoutColumns:
		return nil, sha256.Sum256([]byte(config.LayoutColumns)), nil
	default:
		file, err := OpenFile(in.Layout)
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
	f.Problems.Merge(withCode(problems, "layout-invalid"))
	f.Sending.Warnings = append(f.Sending.Warnings, warnings...)
	return layout, sha256.Sum256(data), nil
}

// withCode gives a code to the problems that have none.
func withCode(problems campaign.Problems, code string) campaign.Problems {
	for i := range problems.List {
		if problems.List[i].Code == "" {
			problems.List[i].Code = code
		}
	}
	return problems
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
	data, err := readDocument(part.File)
	if errors.Is(err, errTooLarge) {
		f.Problems.AddCode("json-too-large", part.Name, 0, 0, "", "%v", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", part.Name, err)
	}
	return data, nil
}

func (c *Checker) sidecar(p *Parts, in *config.Inbox, f *Finding) error {
	f.Sidecar = &document.Sidecar{File: p.Name + ".schedule.json", SlicingCondition: campaign.FragmentedSlots}
	if p.Sidecar.File != nil {
		data, err := c.read(p.Sidecar, f)
		if err != nil {
			return err
		}
		var problems campaign.Problems
		if data != nil {
			f.Sidecar, problems = document.ParseSidecar(p.Sidecar.Name, data)
			f.Problems.Merge(withCode(problems, "schedule-invalid"))
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
		if from := f.Sidecar.FileOf(key); from != f.Sidecar.File {
			file = from
		}
		f.Problems.AddCode(code, file, line, column, key, format, args...)
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
	camp, why, details, err := c.Campaigns.Find(s.ApplicationID, s.CampaignID)
	if err != nil {
		return nil, err
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
	return joinIDs(ids)
}

// joinIDs formats numbers for a message: 1, 2.
func joinIDs(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, id)
	}
	return b.String()
}

// dropDigest identifies a drop, to find the same drop again (docs/contract.md 2, the same drop
// twice).
func dropDigest(application, campaignID int64, layout [32]byte, csv string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%d\n%x\n%s\n", application, campaignID, layout, csv)
	return hex.EncodeToString(h.Sum(nil))
}
