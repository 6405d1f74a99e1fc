// Package report writes what campaignd leaves in a drop's folder (SPEC 9):
// status.json while it runs; report.json, report.txt and results.csv at its end.
package report

import (
	"io"
	"time"

	"campaignd/internal/campaign"
)

// Ledger is what a report needs of the store.
type Ledger interface {
	// Load is a sending's header, its slices in order of time and its counts.
	Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)

	// EachRefusal calls fn with every row that was not accepted, in order of line.
	EachRefusal(id campaign.ID, fn func(campaign.Refusal) error) error

	// EachChunk calls fn with every chunk of recipients in order. marks has
	// Sending.Messages marks a row; entries are the final details of the chunk's
	// messages, sorted by row then message, at most one each; one without
	// details has no entry. All three are valid during the call only.
	EachChunk(id campaign.ID, fn func(rows *campaign.Rows, marks []campaign.Mark, entries []campaign.Entry) error) error
}

// Document is report.json.
type Document struct{}

// StatusDocument is status.json.
type StatusDocument struct{ Document }

// Report builds report.json.
func Report(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts) *Document {
	panic("being built")
}

// Status builds status.json as things stand at now.
func Status(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, now time.Time) *StatusDocument {
	panic("being built")
}

// Checking builds the status.json of a drop that is still being checked; done is from 0 to 1.
func Checking(s *campaign.Sending, done float64) *StatusDocument { panic("being built") }

// Text writes report.txt.
func Text(w io.Writer, s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts) error {
	panic("being built")
}

// Results writes results.csv of a sending that was accepted.
func Results(w io.Writer, l Ledger, id campaign.ID) error { panic("being built") }

// Write writes report.json, report.txt and, but for a rejected drop, results.csv into dir.
func Write(dir string, l Ledger, id campaign.ID) error { panic("being built") }

// WriteRefused writes report.json and report.txt of a drop that the store doesn't know.
func WriteRefused(dir string, s *campaign.Sending) error { panic("being built") }

// WriteStatus replaces status.json in dir.
func WriteStatus(dir string, doc *StatusDocument) error { panic("being built") }
