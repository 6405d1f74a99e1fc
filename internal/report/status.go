package report

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/safeio"
)

// WriteStatus replaces status.txt and status.json in dir, which show an accepted sending at now.
func WriteStatus(dir string, s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, now time.Time, o Outlook) error {
	doc := Status(s, slices, counts, now, o)
	return replaceStatus(dir, doc, func(w io.Writer) error { return writeStatusText(w, s, slices, counts, doc, now, o) })
}

// WriteChecking replaces status.txt and status.json in dir, which show a drop of whose CSV the
// share done, from 0 to 1, is checked.
func WriteChecking(dir string, s *campaign.Sending, done float64, now time.Time, zone *time.Location) error {
	doc := Checking(s, done)
	return replaceStatus(dir, doc, func(w io.Writer) error {
		return writeStatusText(w, s, nil, campaign.Counts{}, doc, now, Outlook{Zone: zone})
	})
}

// replaceStatus replaces each file atomically, the one for people first: programs that see a new
// status.json find the text that belongs to it.
func replaceStatus(dir string, doc *StatusDocument, text func(io.Writer) error) error {
	err := safeio.ReplaceFile(filepath.Join(dir, StatusTextFile), fileMode, text)
	if err == nil {
		err = safeio.ReplaceFile(filepath.Join(dir, StatusFile), fileMode, func(w io.Writer) error { return encode(w, doc) })
	}
	if err != nil {
		return fmt.Errorf("write status of %s: %w", doc.ID, err)
	}
	return nil
}

// writeStatusText writes status.txt, which is status.json for people.
func writeStatusText(w io.Writer, s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, d *StatusDocument, now time.Time, o Outlook) error {
	t := newTextWriter(w, o.Zone)
	t.line("%s", underWay(s, counts))
	if o.Stopped != "" {
		t.line("%s only pauses; to cancel, upload an empty file named %s.cancel.", display.Line(o.Stopped), display.Line(s.Name))
	}
	t.line("")
	head := *s
	if d.WaitsFor != nil {
		head.Reason = "" // shown below
	}
	t.facts(&head)
	t.fact("As of", t.at(now))
	t.fact("Progress", progressOf(s, counts, d))
	if wait := d.WaitsFor; wait != nil {
		t.fact("Waits for", wait.Reason)
		t.fact("Since", t.at(wait.Since))
		t.fact("Until", t.at(wait.Until))
	}
	t.fact("Next slice", t.at(d.NextSliceAt))
	t.fact("Ends about", cmp.Or(t.at(d.EstimatedEnd), d.unknownEnd()))
	t.amounts(s, counts)
	t.slices(s, slices)
	t.files(s)
	t.problems("Warnings", s.Warnings, len(s.Warnings))
	t.controls(s)
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write status of %s: %w", s.ID, err)
	}
	return nil
}

// unknownEnd says why the end of a sending isn't known, "" if it waits: that is the reason then.
func (d *StatusDocument) unknownEnd() string {
	if d.NoEstimate == "" {
		return ""
	}
	return "unknown: " + d.NoEstimate
}

// progressOf says how much is done: of the file while it is checked, then of the messages.
func progressOf(s *campaign.Sending, counts campaign.Counts, d *StatusDocument) string {
	if s.State == campaign.StateChecking {
		return fmt.Sprintf("%v%% of the file is checked", d.Percent)
	}
	return fmt.Sprintf("%v%%: %s of %s with an outcome", d.Percent, display.Number(counts.Final()), display.Amount(s.Planned, "message"))
}

// controls lists the control files that would do something now.
func (t textWriter) controls(s *campaign.Sending) {
	if s.State.Final() {
		return
	}
	name := display.Line(s.Name)
	t.line("")
	t.line("What you can do: upload an empty file of one of these names to the inbox.")
	if s.State.Stopped() {
		t.line("  %s.resume: continue", name)
	}
	if s.State != campaign.StatePaused {
		t.line("  %s.pause: send nothing until %s.resume", name, name)
	}
	t.line("  %s.cancel: send nothing more", name)
	if HasResults(s) {
		t.line("  %s.results: write the results so far to %s in this folder", name, PartialFile)
	}
	if s.StartedAt.IsZero() && s.State != campaign.StateChecking {
		t.line("To begin at another time, upload %s.reschedule.json with a new time, such as {\"delay\": \"PT2H\"}.", name)
	}
}
