// Package failpoint names the steps between which a crash or a failing disk can occur, and
// lets a test make one occur there. It is a package of its own because store, send, intake
// and safeio mark their steps with it and must not know each other's tests.
//
// In a normal build At and Err do nothing and are compiled away. Built with the tag
// failpoints, the process reads a list from the environment variable CAMPAIGND_FAILPOINT,
// separated by commas:
//
//	name:n          the process kills itself (SIGKILL) at the n-th pass of name
//	name:n:EIO      the n-th pass fails with that error (EIO, ENOSPC, EROFS, EACCES)
//	name:n-m:EIO    passes n to m fail
//	name:n+:EIO     all passes from n on fail
//	name:n:wait     the n-th pass creates the file named by CAMPAIGND_FAILPOINT_GATE with
//	                .reached appended, and waits until the file itself exists
//
// The package holds no state except the number of passes. An unreadable list ends the
// process, so that no test passes because its fault never occurred.
package failpoint

// Name names a step, which has just been done.
type Name string

// The steps of taking in a drop.
const (
	ClaimRecorded   Name = "claim-recorded"   // the claim is in the store, no file has moved
	FolderMade      Name = "folder-made"      // accepted/NAME.ID/ exists and is empty
	FileMoved       Name = "file-moved"       // one more file is in it
	FilesMoved      Name = "files-moved"      // all files are in it
	RowsStored      Name = "rows-stored"      // one transaction of rows is committed
	RejectedWritten Name = "rejected-written" // rejected.csv is complete under its temporary name
	FilesSynced     Name = "files-synced"     // the contents of the dropped files are on disk
	Checked         Name = "checked"          // everything that the check stores is stored
	SlotsBooked     Name = "slots-booked"     // within the transaction that accepts
	Accepted        Name = "accepted"         // it is committed
	Refused         Name = "refused"          // the refusal is committed
	GivenBack       Name = "given-back"       // a claim was undone, its record is still open
)

// The steps of an upload over HTTP. Between the first and the second are those of a claim and a check.
const (
	UploadReceived Name = "upload-received" // all files are complete in a hidden folder, nothing is recorded
	UploadDecided  Name = "upload-decided"  // the drop is accepted or refused, the answer isn't recorded
	UploadAnswered Name = "upload-answered" // the answer is recorded, the client doesn't have it
)

// The steps of sending.
const (
	AttemptsPicked    Name = "attempts-picked"    // attempts are chosen, none is recorded
	AttemptsCommitted Name = "attempts-committed" // attempts are on disk, none has gone out
	HandedOver        Name = "handed-over"        // the driver is about to be called
	DriverReturned    Name = "driver-returned"    // the answer is known only in memory
	ResultsDecided    Name = "results-decided"    // a group of results is about to be committed
	ResultsCommitted  Name = "results-committed"  // a group of results is on disk
	Replanned         Name = "replanned"          // within the transaction that slices again
	Finalized         Name = "closed-out"         // unsent messages have their outcome, the state hasn't changed yet
	BeforeFinish      Name = "before-finish"      // every outcome is recorded, the state hasn't changed yet
	Finished          Name = "finished"           // the state is final
)

// The steps of work in the folders.
const (
	StatusWritten  Name = "status-written"  // status.json is replaced
	ReportsWritten Name = "reports-written" // the final files exist
	StatusRemoved  Name = "status-removed"  // status.json is removed, the folder is still in accepted/
	FolderMoved    Name = "folder-moved"    // the folder is in done/ or failed/, the store doesn't know it yet
	Filed          Name = "filed"           // the store knows it
	Obeyed         Name = "obeyed"          // a control file was obeyed and is still in the inbox
	ControlMoved   Name = "control-moved"   // the control file is in the sending's folder
	Reopened       Name = "reopened"        // a sending is to be sent again, its folder is still in done/
	Stripped       Name = "stripped"        // retention has emptied a folder, the store still has the sending
	Forgotten      Name = "forgotten"       // a sending is removed from the store, some of its data isn't
)

// The steps of the store's own file.
const (
	StoreMade    Name = "store-made"    // the new store is complete under its temporary name
	StoreCommit  Name = "store-commit"  // a transaction is about to be committed
	RestoredHeld Name = "restored-held" // a restored store's sendings are held, its trailer still exists

	CompactCopied  Name = "compact-copied"  // the compacted store is complete under its temporary name
	CompactSwapped Name = "compact-swapped" // it has the store's name and isn't open yet
)

// BaseBegun is a step of a hub with a standby: a base of the store is about to be written to the log.
const BaseBegun Name = "base-begun"

// The steps of safeio, by the names of its Op. These can also fail.
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

// Names lists the steps at which the crash suite kills the process. Those of safeio occur
// within others.
func Names() []Name {
	return []Name{
		ClaimRecorded, FolderMade, FileMoved, FilesMoved, RowsStored, RejectedWritten, FilesSynced, Checked,
		SlotsBooked, Accepted, Refused, GivenBack, UploadReceived, UploadDecided, UploadAnswered,
		AttemptsPicked, AttemptsCommitted, HandedOver, DriverReturned, ResultsDecided, ResultsCommitted,
		Replanned, Finalized, BeforeFinish, Finished,
		StatusWritten, ReportsWritten, StatusRemoved, FolderMoved, Filed, Obeyed, ControlMoved, Reopened,
		StoreMade, StoreCommit, RestoredHeld, CompactCopied, CompactSwapped, Stripped, Forgotten,
		Create, Write, Sync, Rename, SyncDir,
	}
}
