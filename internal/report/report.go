// Package report writes the files in a sending's folder (docs/contract.md 9):
// status.json and status.txt until the end; report.json, report.txt, results.csv and
// replies.csv at the end; results.partial.csv on request.
// The check of the drop writes rejected.csv, because only it has the rows as they
// came.
//
// The package reads a sending through Source. It decides nothing and moves
// nothing. Every file is written completely or not at all, and report.json last,
// so if it exists the others do too. When Write returns, the contents are durable;
// the names are durable once the caller has synced the folder. The status isn't
// synced, because every start writes it again. A failed call can be repeated.
// results.csv is streamed and needs memory for one chunk of rows.
//
// Only results.csv, replies.csv and the previews of a dry run contain contact data. All
// are in the folder of the partner who sent it.
package report

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// The names of the files.
const (
	StatusFile     = "status.json"
	StatusTextFile = "status.txt"
	ReportFile     = "report.json"
	TextFile       = "report.txt"
	ResultsFile    = "results.csv"
	PartialFile    = "results.partial.csv"
	RepliesFile    = "replies.csv"
	RejectedFile   = "rejected.csv"
)

// IsOwn reports whether a drop's CSV of that name would be in the way of a file that campaignd
// writes next to it.
func IsOwn(csv string) bool {
	return csv == ResultsFile || csv == PartialFile || csv == RepliesFile || csv == RejectedFile
}

// fileMode lets partners read the files, because they seldom are the daemon's user.
// The mode of the inbox decides who may enter it.
const fileMode = 0o644

// Source reads sendings from the store.
type Source interface {
	// Load returns a sending's header, its slices in order of time and its counts.
	Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)

	// EachRefusal calls fn with every rejected or duplicate row, in order of line.
	EachRefusal(id campaign.ID, fn func(campaign.Refusal) error) error

	// EachChunk calls fn with every chunk of recipients in order. statuses has
	// Sending.Messages statuses per row. entries has the final details of the chunk's
	// messages, sorted by row and message, at most one each; a message without
	// details has no entry. All three are valid only during the call.
	EachChunk(id campaign.ID, fn func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error) error

	// Deliveries returns the receipts of the messages on the lines first to last, in
	// order of line and message. It isn't called if Sending.ReceiptVersion is 0.
	Deliveries(id campaign.ID, first, last uint32) ([]campaign.Delivery, error)

	// EachReply calls fn with the replies to a sending, in order of arrival.
	EachReply(id campaign.ID, fn func(campaign.Reply) error) error
}

// Write writes the final files of a sending to dir: results.csv (unless the drop was
// rejected or a dry run), replies.csv (if a channel of it reports what comes back),
// report.txt and report.json. Texts for people have the times of zone; nil is UTC. It
// returns an error if the sending's state isn't final.
func Write(dir string, l Source, id campaign.ID, zone *time.Location) error {
	s, slices, counts, err := l.Load(id)
	if err != nil {
		return fmt.Errorf("report on %s: %w", id, err)
	}
	if !s.State.Final() {
		return fmt.Errorf("report on %s: it is %s, a final report needs a final state", id, s.State)
	}
	var failures []Failure
	if HasResults(s) {
		err := safeio.PlaceFile(filepath.Join(dir, ResultsFile), fileMode, func(w io.Writer) error {
			failures, err = writeResults(w, l, id, Selection{})
			return err
		})
		if err != nil {
			return fmt.Errorf("report on %s: %w", id, err)
		}
	}
	if hasReplies(s) {
		err := safeio.PlaceFile(filepath.Join(dir, RepliesFile), fileMode, func(w io.Writer) error { return writeReplies(w, l, id) })
		if err != nil {
			return fmt.Errorf("report on %s: %w", id, err)
		}
	}
	err = safeio.PlaceFile(filepath.Join(dir, TextFile), fileMode, func(w io.Writer) error {
		return writeText(w, zone, s, slices, counts, failures)
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

// Strip replaces report.json in dir by one without contacts, which stays after
// retention. Errors and warnings may quote the file, and the previews of a dry run
// are messages, so only the number of errors stays.
func Strip(dir string, l Source, id campaign.ID) error {
	s, slices, counts, err := l.Load(id)
	if err != nil {
		return fmt.Errorf("strip report on %s: %w", id, err)
	}
	doc := Report(s, slices, counts)
	doc.Previews, doc.Warnings, doc.Errors = nil, []campaign.Problem{}, []Problem{}
	if s.State == campaign.StateRejected {
		doc.Reason = "rejected; the reason was removed after the retention period"
	}
	err = safeio.WriteFile(filepath.Join(dir, ReportFile), fileMode, func(w io.Writer) error { return encode(w, doc) })
	if err != nil {
		return fmt.Errorf("strip report on %s: %w", id, err)
	}
	return nil
}

// HasResults reports whether s has a results.csv: rejected drops and dry runs have none.
func HasResults(s *campaign.Sending) bool {
	return s.State != campaign.StateRejected && s.State != campaign.StateChecking && !s.DryRun
}

// hasReplies reports whether s has a replies.csv: one of its channels reports what comes back.
func hasReplies(s *campaign.Sending) bool { return s.Receipts && HasResults(s) }

// WritePartial replaces results.partial.csv, and replies.csv if s has one, in dir: what has come
// back so far.
func WritePartial(dir string, l Source, s *campaign.Sending) error {
	err := safeio.ReplaceFile(filepath.Join(dir, PartialFile), fileMode, func(w io.Writer) error { return Results(w, l, s.ID, Selection{}) })
	if err != nil || !hasReplies(s) {
		return err
	}
	return safeio.ReplaceFile(filepath.Join(dir, RepliesFile), fileMode, func(w io.Writer) error { return writeReplies(w, l, s.ID) })
}
