// Package report writes what campaignd leaves in a drop's folder (SPEC 9):
// status.json while it runs; report.json, report.txt and results.csv at its
// end. rejected.csv is not written here: it holds the rows as they came, and
// only the check of the drop has seen those.
//
// It reads a sending through Ledger, decides nothing and moves nothing. Every
// file is written whole or not at all; report.json comes last, so where it stands the
// others stand too. Their contents are durable when Write returns, their names once the
// caller has synced the folder. status.json says what the store says and is made anew at
// every start: it is not synced. What fails can simply be done again. results.csv is
// streamed: memory is one chunk of rows, whatever the sending's size.
//
// Contact data is in results.csv and in the previews of a dry run, which lie in
// the folder of the partner who sent it, and nowhere else.
package report

import (
	"fmt"
	"io"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// The names of the files.
const (
	StatusFile   = "status.json"
	ReportFile   = "report.json"
	TextFile     = "report.txt"
	ResultsFile  = "results.csv"
	RejectedFile = "rejected.csv"
)

// fileMode lets partners read what is left for them: they are seldom the user
// that the daemon runs as. Who may enter the inbox is decided by the inbox's own mode.
const fileMode = 0o644

// Ledger is what a report needs of the store.
type Source interface {
	// Load is a sending's header, its slices in order of time and its counts.
	Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)

	// EachRefusal calls fn with every row that was not accepted, in order of line.
	EachRefusal(id campaign.ID, fn func(campaign.Refusal) error) error

	// EachChunk calls fn with every chunk of recipients in order. marks has
	// Sending.Messages marks a row; entries are the final details of the chunk's
	// messages, sorted by row then message, at most one each; one without
	// details has no entry. All three are valid during the call only.
	EachChunk(id campaign.ID, fn func(rows *campaign.Rows, marks []campaign.MessageStatus, entries []campaign.Entry) error) error

	// Deliveries are what is known of the messages whose lines are from first to last,
	// in order of line and message. It is not asked where Sending.Told is 0.
	Deliveries(id campaign.ID, first, last uint32) ([]campaign.Delivery, error)
}

// Write writes the final files of a sending into dir: results.csv if it was
// accepted (a rejected drop and a dry run have no results), report.txt and report.json.
// It is an error to ask for them before the sending's state is final.
func Write(dir string, l Source, id campaign.ID) error {
	s, slices, counts, err := l.Load(id)
	if err != nil {
		return fmt.Errorf("report on %s: %w", id, err)
	}
	if !s.State.Final() {
		return fmt.Errorf("report on %s: it is %s and has no final report yet", id, s.State)
	}
	var failures []Failure
	if HasResults(s) {
		err := safeio.PlaceFile(filepath.Join(dir, ResultsFile), fileMode, func(w io.Writer) error {
			failures, err = writeResults(w, l, id)
			return err
		})
		if err != nil {
			return fmt.Errorf("report on %s: %w", id, err)
		}
	}
	err = safeio.PlaceFile(filepath.Join(dir, TextFile), fileMode, func(w io.Writer) error {
		return writeText(w, s, slices, counts, failures)
	})
	if err != nil {
		return fmt.Errorf("report on %s: %w", id, err)
	}
	err = safeio.PlaceFile(filepath.Join(dir, ReportFile), fileMode, func(w io.Writer) error {
		doc := Report(s, slices, counts)
		doc.Failures = failures
		return encode(w, doc)
	})
	if err != nil {
		return fmt.Errorf("report on %s: %w", id, err)
	}
	return nil
}

// Strip replaces report.json in dir by one that tells of no contact: retention lets it
// stay. What was wrong with single rows and the columns that were found may quote the
// file, and a dry run's previews are messages; so only their number stays.
func Strip(dir string, l Source, id campaign.ID) error {
	s, slices, counts, err := l.Load(id)
	if err != nil {
		return fmt.Errorf("strip report on %s: %w", id, err)
	}
	doc := Report(s, slices, counts)
	doc.Previews, doc.Warnings, doc.Errors = nil, []campaign.Problem{}, []Problem{}
	if s.State == campaign.StateRejected {
		doc.Reason = "it was rejected; retention has removed what was found"
	}
	err = safeio.WriteFile(filepath.Join(dir, ReportFile), fileMode, func(w io.Writer) error { return encode(w, doc) })
	if err != nil {
		return fmt.Errorf("strip report on %s: %w", id, err)
	}
	return nil
}

// HasResults reports whether s has rows that became messages: results.csv is written for these alone.
func HasResults(s *campaign.Sending) bool {
	return s.State != campaign.StateRejected && s.State != campaign.StateChecking && !s.DryRun
}

// WriteStatus replaces status.json in dir.
func WriteStatus(dir string, doc *StatusDocument) error {
	err := safeio.ReplaceFile(filepath.Join(dir, StatusFile), fileMode, func(w io.Writer) error { return encode(w, doc) })
	if err != nil {
		return fmt.Errorf("write status of %s: %w", doc.ID, err)
	}
	return nil
}
