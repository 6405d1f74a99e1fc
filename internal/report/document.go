package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// Document is report.json, with its keys in the order of docs/contract.md 9. Unknown
// values are absent, never null; texts and lists are present even if empty.
type Document struct {
	ID               campaign.ID         `json:"id"`
	Name             string              `json:"name"`
	Reference        string              `json:"reference"`
	State            campaign.State      `json:"state"`
	Reason           string              `json:"reason"`
	ApplicationID    int64               `json:"applicationId,omitzero"`
	CampaignID       int64               `json:"campaignId,omitzero"`
	SlicingCondition campaign.Condition  `json:"slicingCondition,omitzero"`
	ReceivedAt       time.Time           `json:"receivedAt,omitzero"`
	ScheduledAt      time.Time           `json:"scheduledAt,omitzero"`
	StartedAt        time.Time           `json:"startedAt,omitzero"`
	FinishedAt       time.Time           `json:"finishedAt,omitzero"`
	Recipients       *campaign.RowCounts `json:"recipients,omitzero"`
	Messages         *Messages           `json:"messages,omitzero"`
	Delivery         *Delivery           `json:"delivery,omitzero"` // nil: no channel reports deliveries
	Slices           []Slice             `json:"slices,omitzero"`   // nil: not known yet
	CSV              *campaign.CSVInfo   `json:"csv,omitzero"`
	Warnings         []campaign.Problem  `json:"warnings,omitzero"`
	Errors           []Problem           `json:"errors,omitzero"`    // the first campaign.MaxProblems, equal ones grouped
	ErrorCount       int                 `json:"errorCount"`         // all of them
	Failures         []Failure           `json:"failures,omitempty"` // of a final report, the largest group first
	Previews         []Preview           `json:"previews,omitempty"`
	Forgotten        uint32              `json:"forgotten,omitzero"` // rows whose contact was forgotten: their cells are empty or x's
}

// Messages counts messages by outcome. A rejected or duplicate row has no planned
// messages, but counts under its outcome once for each message it would have got. So the counts
// are the lines of results.csv, and at the end they add up to planned plus the messages of
// these rows.
type Messages struct {
	Planned    uint64 `json:"planned"`
	Sent       uint64 `json:"sent"`
	Failed     uint64 `json:"failed"`
	Unknown    uint64 `json:"unknown"`
	Expired    uint64 `json:"expired"`
	Canceled   uint64 `json:"canceled"`
	Suppressed uint64 `json:"suppressed"`
	Skipped    uint64 `json:"skipped"`
	Duplicate  uint64 `json:"duplicate"`
	Rejected   uint64 `json:"rejected"`
}

// Delivery counts sent messages by their latest receipt, so a message that was read no
// longer counts as delivered.
type Delivery = campaign.DeliveryCounts

// Slice is the sending's part of one slot.
type Slice struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Recipients uint32    `json:"recipients"`
}

// Preview is a message of a dry run as it would be sent.
type Preview struct {
	Line        uint32 `json:"line"`
	ContactCode string `json:"contactCode"`
	ChannelType string `json:"channelType"`
	Message     int    `json:"message"`
	Content     any    `json:"content"` // the rendered item as JSON, or as a string if it isn't JSON
}

// StatusDocument is status.json: the known part of report.json, and the progress.
type StatusDocument struct {
	Document
	Percent      float64            `json:"percent"` // 0 to 100: of the file while checking, otherwise of the messages
	NextSliceAt  time.Time          `json:"nextSliceAt,omitzero"`
	EstimatedEnd time.Time          `json:"estimatedEnd,omitzero"`
	NoEstimate   string             `json:"-"`                  // why nobody knows the end of a sending that doesn't wait
	WaitsFor     *campaign.WaitsFor `json:"waitsFor,omitempty"` // nil: it waits for nothing but its time
}

// Outlook is what Status knows besides the store.
type Outlook struct {
	Rate    float64            // messages a second of the sending's slowest channel; 0: no limit
	Daily   int                // contacts that the sending's narrowest channel reaches in 24 hours; 0: no limit
	Windows *calendar.Windows  // the application's; nil: always open
	Expiry  time.Time          // when everything unsent expires; zero: not known
	Waits   *campaign.WaitsFor // nil: it doesn't wait
	Zone    *time.Location     // the application's; nil: UTC
	Stopped string             // the NAME.stop in the folder of a paused sending; "": there is none
}

// Report builds report.json.
func Report(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts) *Document {
	rows, csv := s.Rows, s.CSV // copies, because s may change while the document is written
	rejected, duplicate := s.Refused()
	d := &Document{
		ID: s.ID, Name: s.Name, Reference: s.Reference, State: s.State, Reason: reason(s),
		ApplicationID: s.ApplicationID, CampaignID: s.CampaignID, SlicingCondition: s.Condition,
		ReceivedAt: toInstant(s.ReceivedAt), ScheduledAt: toInstant(s.ScheduledAt),
		StartedAt: toInstant(s.StartedAt), FinishedAt: toInstant(s.FinishedAt),
		Recipients: &rows,
		Messages: &Messages{
			Planned: s.Planned, Sent: counts[campaign.Sent], Failed: counts[campaign.Failed],
			Unknown: counts[campaign.Unknown], Expired: counts[campaign.Expired],
			Canceled: counts[campaign.Canceled], Suppressed: counts[campaign.Suppressed],
			Skipped:   counts[campaign.Skipped],
			Duplicate: duplicate, Rejected: rejected,
		},
		Slices:     sliceList(slices),
		Warnings:   append([]campaign.Problem{}, s.Warnings...),
		Errors:     groupProblems(s.Problems),
		ErrorCount: max(s.ProblemCount, len(s.Problems)),
		Forgotten:  s.Forgotten,
	}
	if s.Receipts && HasResults(s) {
		delivery := s.Delivery
		d.Delivery = &delivery
	}
	if csv != (campaign.CSVInfo{}) {
		d.CSV = &csv
	}
	for _, p := range s.Previews {
		d.Previews = append(d.Previews, Preview{p.Line, p.ContactCode, p.ChannelType, p.Message, content(p.Content)})
	}
	return d
}

// manySlices is the number of slices from which they are summed up by the hour.
const manySlices = 500

// sliceList returns the slices of a document, one for each slot. An unsliced sending uses no slot, so it has none.
// More than manySlices become one entry for each hour in which some begin.
func sliceList(slices []campaign.Slice) []Slice {
	list := make([]Slice, 0, min(len(slices), manySlices))
	slices = campaign.BySlot(slices)
	for _, one := range slices {
		if !one.Sliced() {
			continue
		}
		start, end := toInstant(one.Start), toInstant(one.End)
		if n := len(list); len(slices) > manySlices && n > 0 && list[n-1].Start.Truncate(time.Hour).Equal(start.Truncate(time.Hour)) {
			list[n-1].End = end
			list[n-1].Recipients += one.Recipients
			continue
		}
		list = append(list, Slice{start, end, one.Recipients})
	}
	return list
}

// content returns a rendered item as JSON, so that nobody has to parse a string in a document.
func content(item string) any {
	if raw := json.RawMessage(item); json.Valid(raw) {
		return raw
	}
	return item
}

// reason returns the reason for the sending's state; a successful dry run gets one too.
func reason(s *campaign.Sending) string {
	if s.Reason == "" && s.DryRun && s.State == campaign.StateCompleted {
		return "dry run: checked and planned, nothing was sent"
	}
	return s.Reason
}

// Status builds status.json of an accepted sending at now. rate is the rate of its
// slowest channel in messages a second; 0: no limit.
func Status(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, now time.Time, o Outlook) *StatusDocument {
	slices = campaign.BySlot(slices)
	d := &StatusDocument{Document: *Report(s, slices, counts)}
	d.Percent = campaign.Percent(counts.Final(), s.Planned)
	if s.State.Final() {
		d.Percent = 100
	}
	if s.State.Stopped() {
		d.WaitsFor = &campaign.WaitsFor{Reason: s.Reason, Since: toInstant(s.StoppedAt)}
		if o.Waits != nil {
			d.WaitsFor.Until = toInstant(o.Waits.Until)
		}
	}
	if !s.State.Active() {
		return d
	}
	if o.Waits != nil {
		waits := campaign.WaitsFor{Reason: display.Line(o.Waits.Reason), Since: toInstant(o.Waits.Since), Until: toInstant(o.Waits.Until)}
		d.WaitsFor = &waits
	}
	for _, one := range slices {
		if one.Start.After(now) {
			d.NextSliceAt = toInstant(one.Start)
			break
		}
	}
	if o.Waits == nil { // nobody knows how long the wait lasts, or what it leaves
		var end time.Time
		end, d.NoEstimate = estimate(s, slices, counts, now, o)
		d.EstimatedEnd = toInstant(end)
	}
	return d
}

// Checking builds status.json of a drop that is being checked. done is the checked share of
// its CSV, from 0 to 1. Rows, messages and slices are not known yet.
func Checking(s *campaign.Sending, done float64) *StatusDocument {
	d := &StatusDocument{Document: *Report(s, nil, campaign.Counts{}), Percent: campaign.Percent(uint64(1e6*min(max(done, 0), 1)), 1e6)}
	d.State = campaign.StateChecking
	d.Recipients, d.Messages, d.Delivery, d.Slices = nil, nil, nil, nil
	return d
}

// instant is t as it is written: UTC, to the millisecond.
func toInstant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func encode(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // programs and people read it, not browsers
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}
