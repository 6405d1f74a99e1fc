// Package roster makes recipients of the rows of a CSV (SPEC 3, 4): it applies
// the layout, checks each row in full, renders every message once for the
// channel's own check, finds duplicates, and fills the chunks that are stored.
//
// It is pure: no goroutine, no disk (the spill that exact de-duplication reads
// back is given to it), no clock. Check works on a batch by itself and is
// safe for many workers; an Assembler takes their results in the order of the file.
//
// A bad row never stops it: it becomes a refusal with line, column and reason,
// and the Verdict at the end says whether there were too many. Reasons hold no
// contact data. Errors are those of the spill and of the Sink alone.
package roster

import (
	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/sheet"
)

// Channel is a channel that the campaign may send on.
type Channel struct {
	Name      string
	Templates []*campaign.Template // compiled against Spec.Variables, in order; at least one
	// Check refuses a rendered message by the channel's own rules. Its error is
	// fit for a partner and holds no contact data. nil refuses none.
	Check func(contactCode, content []byte) error
}

// Spec is all that decides what becomes of a row.
type Spec struct {
	File       string // base name of the CSV, for messages
	Layout     *document.Layout
	Columns    []string  // of the CSV, in NFC
	Variables  []string  // of the campaign; Rows.Values has their order
	Channels   []Channel // Rows.Channels indexes these
	NotAllowed []string  // channels of the application that the campaign doesn't allow
	Dedupe     bool
	MaxRows    int     // data rows; 0: no limit but 2^32-1
	MaxBadRows float64 // share of the data rows, 0 to 1
	Previews   int     // how many messages to keep rendered, for a dry run
}

// Roster checks rows against a Spec. It is safe for concurrent use.
type Roster struct{ spec Spec }

// New prepares a Roster. Every variable of the layout must be a column and
// every variable of the campaign a field (document.Layout.CheckColumns,
// CheckVariables); the error names one that isn't.
func New(spec Spec) (*Roster, error) { panic("being built") }

// Checked is what became of one batch. The zero value is ready; reuse it to keep its memory.
type Checked struct {
	Rows     campaign.Rows      // the good rows; First means nothing here
	Refusals []campaign.Refusal // the bad ones, in order
	Rejected []byte             // lines of rejected.csv for the Refusals, without the header
	Total    uint32             // data rows
}

// Check checks every row of batch. reader is where the batch comes from; of it
// only AppendRejected is used, which is safe meanwhile. batch may be read into again afterwards.
func (r *Roster) Check(reader *sheet.Reader, batch *sheet.Batch, out *Checked) { panic("being built") }
