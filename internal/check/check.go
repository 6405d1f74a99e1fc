// Package check finds out what a drop would get: its files in, a Finding out. Intake, `campaignd
// check`, `campaignd drop`, the HTTP endpoint and previews all use it, so that each says the same of
// the same files. It is a room of its own because none of them needs the others.
//
// It reads the configuration, the campaigns and the files, and unpacks a packed CSV into a file
// without a name. It knows no store: rows go to a RowWriter as they are read, and what a drop may
// repeat or which slots are free is for the caller to find out. A mistake in a drop is a problem in
// the Finding; an error concerns the machine.
package check

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// RowWriter takes the rows of a check. Header is called before the first line of rejected.csv.
type RowWriter interface {
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
// known. With a nil RowWriter and spill, rows are checked and forgotten. progress is called with 0
// to 1. The error concerns this machine or ctx, never the drop.
func (c *Checker) Check(ctx context.Context, p *Parts, in *config.Inbox, info *csvfile.Info, now time.Time,
	writer RowWriter, spill recipients.Spill, progress func(float64)) (*Finding, error) {
	f := &Finding{}
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
	layout, err := c.csv(ctx, p, info, f, d, writer, spill, progress)
	if err != nil {
		return nil, err
	}
	f.noteDefaults(p, in, layout)
	f.Sending.Digest = dropDigest(f.Sending.ApplicationID, f.Sending.CampaignID, d.layoutDigest, f.content)
	c.conclude(f)
	c.addTexts(f.Sending.ApplicationID, f.Sending.Previews)
	return f, nil
}

// addTexts adds to the previews what their channels know more of.
func (c *Checker) addTexts(application int64, previews []campaign.Preview) {
	for i := range previews {
		p := &previews[i]
		if channel, ok := c.Channels(application)[p.ChannelType].(send.Previewer); ok {
			p.Text = channel.Preview([]byte(p.Content))
		}
	}
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
	f.Problems.Merge(problems.WithCode("schedule-invalid"))
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

// dropDigest identifies a drop, to find the same drop again (docs/contract.md 2, the same drop
// twice).
func dropDigest(application, campaignID int64, layout [32]byte, csv string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%d\n%x\n%s\n", application, campaignID, layout, csv)
	return hex.EncodeToString(h.Sum(nil))
}
