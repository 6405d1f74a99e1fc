// Package failpoint names the steps between which a crash or a failing disk can
// come, and lets a test have one come exactly there. It is a room of its own
// because store, send, intake and safeio mark their steps with it, and none of them
// may know another's tests.
//
// Built as usual At and Err do nothing and are compiled away. Built with the tag
// failpoints the environment variable CAMPAIGND_FAILPOINT says what is to happen: a list,
// separated by commas, of
//
//	name:n          the process kills itself (SIGKILL) at the n-th passage of name
//	name:n:EIO      the n-th passage fails with that error (EIO, ENOSPC, EROFS, EACCES)
//	name:n-m:EIO    so do the passages from n to m
//	name:n+:EIO     so do all from n on
//	name:n:wait     the n-th passage waits until a file named by CAMPAIGND_FAILPOINT_GATE is there
//
// It decides nothing and holds no state but the number of passages. A list that can't be read
// ends the process, so that no test passes because its fault never came.
package failpoint

// Name is the name of a step. The step is what has just been done.
type Name string

// The steps of taking in.
const (
	ClaimRecorded   Name = "claim-recorded"   // the claim is in the store, no file has moved
	FolderMade      Name = "folder-made"      // accepted/NAME.ID/ is there and empty
	FileMoved       Name = "file-moved"       // one file more is in it
	FilesMoved      Name = "files-moved"      // all are
	RowsStored      Name = "rows-stored"      // one transaction of rows is committed
	RejectedWritten Name = "rejected-written" // rejected.csv is whole under its temporary name
	FilesSynced     Name = "files-synced"     // the contents of the dropped files are on disk
	Checked         Name = "checked"          // all that the check stores is stored
	SlotsBooked     Name = "slots-booked"     // within the transaction that accepts
	Accepted        Name = "accepted"         // it is committed
	Refused         Name = "refused"          // the refusal is committed
	GivenBack       Name = "given-back"       // a claim was undone, its record is still open
)

// The steps of sending.
const (
	AttemptsPicked    Name = "attempts-picked"    // nothing of them is recorded
	AttemptsCommitted Name = "attempts-committed" // they are on disk, nothing has gone out
	HandedOver        Name = "handed-over"        // the driver is about to be called
	DriverReturned    Name = "driver-returned"    // the answer is known in memory alone
	ResultsDecided    Name = "results-decided"    // a group of results is about to be committed
	ResultsCommitted  Name = "results-committed"  // it is on disk
	Replanned         Name = "replanned"          // within the transaction that slices again
	Finalized         Name = "closed-out"         // the unsent has its outcome, the state is the old one
	BeforeFinish      Name = "before-finish"      // every outcome is recorded, the state is the old one
	Finished          Name = "finished"           // the state is final
)

// The steps of what is left in the folders.
const (
	StatusWritten  Name = "status-written"  // status.json is replaced
	ReportsWritten Name = "reports-written" // the final files are there
	StatusRemoved  Name = "status-removed"  // status.json is gone, the folder is still in accepted/
	FolderMoved    Name = "folder-moved"    // it is in done/ or failed/, the store doesn't know
	Filed          Name = "filed"           // the store knows
	Obeyed         Name = "obeyed"          // a control file has been obeyed and is still in the inbox
	ControlMoved   Name = "control-moved"   // it lies in the sending's folder
	Reopened       Name = "reopened"        // a sending is to be sent again, its folder is still in done/
	Stripped       Name = "stripped"        // retention has emptied a folder, the store still has the sending
	Forgotten      Name = "forgotten"       // a sending is gone from the store, not all that belonged to it
)

// The steps of the store's own file.
const (
	StoreMade    Name = "store-made"    // the new store is whole under its temporary name
	StoreCommit  Name = "store-commit"  // a transaction is about to be committed
	RestoredHeld Name = "restored-held" // a restored store's sendings are held, its trailer is still there

	CompactCopied  Name = "compact-copied"  // the compacted store is whole under its temporary name
	CompactSwapped Name = "compact-swapped" // it has the store's name, nobody has opened it
)

// The steps of safeio, by the names of its Op: these can fail too.
const (
	Create  Name = "create"
	Write   Name = "write"
	Sync    Name = "sync"
	Rename  Name = "rename"
	SyncDir Name = "syncdir"
	Open    Name = "open"
	Read    Name = "read"
	Remove  Name = "remove"
)

// Names are the steps that the crash suite kills at, one after another. Those of safeio come
// in the midst of others.
func Names() []Name {
	return []Name{
		ClaimRecorded, FolderMade, FileMoved, FilesMoved, RowsStored, RejectedWritten, FilesSynced, Checked,
		SlotsBooked, Accepted, Refused, GivenBack,
		AttemptsPicked, AttemptsCommitted, HandedOver, DriverReturned, ResultsDecided, ResultsCommitted,
		Replanned, Finalized, BeforeFinish, Finished,
		StatusWritten, ReportsWritten, StatusRemoved, FolderMoved, Filed, Obeyed, ControlMoved, Reopened,
		StoreMade, StoreCommit, RestoredHeld, CompactCopied, CompactSwapped, Stripped, Forgotten,
		Create, Write, Sync, Rename, SyncDir,
	}
}
