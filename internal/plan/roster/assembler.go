package roster

import (
	"errors"
	"io"

	"campaignd/internal/campaign"
)

// Spill keeps the keys of exact de-duplication outside memory: about 8 bytes
// and the contactCode a row. Written in order, read at any place. Where the CSV is
// small a Memory serves.
type Spill interface {
	io.Writer
	io.ReaderAt
}

// Memory is a Spill in memory.
type Memory struct{ data []byte }

// Sink takes what an Assembler hands out. What it is given is valid during the call only.
type Sink interface {
	// Chunk takes the next recipients: campaign.ChunkRows of them, fewer in the last call.
	Chunk(rows *campaign.Rows) error
	// Refused takes rows that were rejected or are duplicates, in the order of
	// the file, and rejected, the lines of rejected.csv for those among them that were rejected.
	Refused(refusals []campaign.Refusal, rejected []byte) error
}

// ErrPointless is returned by Add when the drop is lost whatever follows
// (more rows than allowed); Verdict says why.
var ErrPointless = errors.New("reading on is pointless")

// Assembler takes Checked batches in the order of the file. It is for one goroutine.
type Assembler struct{ r *Roster }

// Assemble begins. rowBound is the most rows there can be (sheet.Info.RowBound).
// spill may be nil if Spec.Dedupe is false.
func (r *Roster) Assemble(rowBound int64, spill Spill, sink Sink) *Assembler { panic("being built") }

// Add takes the next batch; c may be reused afterwards.
func (a *Assembler) Add(c *Checked) error { panic("being built") }

// Finish hands out the last chunk.
func (a *Assembler) Finish() error { panic("being built") }

// Counts are the data rows so far, and planned the messages of the accepted ones.
func (a *Assembler) Counts() (rows campaign.RowCounts, planned uint64) { panic("being built") }

// Previews are the first messages as they would be sent, up to Spec.Previews.
func (a *Assembler) Previews() []campaign.Preview { panic("being built") }

// Problems are the rejected rows as problems: the first campaign.MaxProblems and the full count.
func (a *Assembler) Problems() campaign.Problems { panic("being built") }

// Verdict, after Finish, is why the whole drop is to be rejected; empty if it isn't:
// cut off, more than max_rows, too many bad rows, no good row.
func (a *Assembler) Verdict() []campaign.Problem { panic("being built") }
