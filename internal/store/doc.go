// Package store keeps everything that campaignd knows in one bbolt file: sendings
// and their rows, what became of every message, the slots, the timeline of what is
// due when, opt-outs, and who did what. It is the only room that knows bbolt.
//
// It plans nothing, sends nothing and knows no drop folder: it keeps the books
// for those who do, and keeps them so that every one of its transactions leaves them balanced. It
// starts no goroutine.
//
// # Schema
//
//	meta            version (4 bytes), tag (8 hex digits), states (sendings at each state)
//	sendings        number (8) -> format, state, filed, application, header as JSON
//	active          number -> record: what every commit must know of a sending that is not filed
//	slices          number -> slices in order of time, with what each has booked
//	counts          number -> base (outcome of chunks without marks), messages at each outcome
//	chunks          number, chunk (4) -> up to 4,096 recipients in columns, s2
//	marks           number, chunk -> a byte a message: outcome and attempts; absent: all at base
//	outcomes        number, chunk, sequence (2) -> block of details, 16 KB; the last one is open
//	inflight        number, chunk -> how many messages of the chunk are in flight
//	refusals        number, sequence (4) -> block of rows that were not accepted, s2
//	timeline        due (8), number -> nothing: one entry an active sending, never too late
//	retries         number, due, row (4), message (1) -> attempts, time, code, detail
//	waiting         number, row, message -> due: finds a message's key in retries
//	slots           application (8), page (8) -> messages booked in 256 slots
//	grids           application -> the slot length that slots is counted for
//	digests         sha256 -> number and time of the acceptance that refuses another
//	suppressions    application, channel, 0, contact -> opt-out as JSON
//	deliveries      number, line (4), message (1) -> what the provider told of it: state, time, code, detail
//	told            number -> messages at each state of delivery, changes so far, changes that its files show
//	strays          sequence -> report that names no message by its key yet, as JSON
//	audit           time (8), sequence (8) -> entry as JSON
//	leaving         number -> nothing: sendings that are gone, what is left of them is still being removed
//	contacts        made when first used; a bucket a name, its sequence is the count:
//	  name/seen     contact (8) -> minute (4) of the last message, rounded up
//	  name/ages     minute, contact -> nothing: who ends to count first
//
// The sequence of the bucket meta counts commits. The file's name with .latest behind it is the store's witness: how
// far it had come, outside of it, so that an older copy put in its place is found out and held (restored.go).
//
// Numbers are big endian, so that keys are in order. A sending's number is the
// sequence of the bucket sendings; it is never used again. Chunks, marks and details come in
// ascending order and are written to pages that are filled (LIMITS: half-full ones double the file).
//
// Marks say where each message stands. A message that its row's channel doesn't
// have is Skipped in them and counted nowhere. Marks, counts, details, retries and the
// in-flight index change in one transaction, through ledger alone.
//
// # Order of durability
//
//  1. Begin: the claim is on disk before a file is moved. A crash leaves a sending
//     that is checking; Unfiled yields it.
//  2. AppendRows: rows are on disk, in several transactions, before they count. A crash
//     leaves rows of a sending that is checking; DiscardRows removes them.
//  3. Accept: duplicate check, bookings, slices, header and timeline are one
//     transaction. Before it nothing was promised, after it everything is there.
//  4. Commit of an attempt: it is on disk before the message goes out. A crash
//     between the two leaves it in flight though it never went.
//  5. Commit of the result. A crash before it leaves the message in flight; Recover makes it Pending again,
//     under the same key, or Unknown, as the channel can bear.
//  6. Finish, when the books balance; then the reports, the move of the folder, and
//     Filed. A crash between them leaves a final sending that isn't filed; Unfiled yields it.
//
// Each is synced when its method returns: bbolt syncs the data pages, then the
// meta page that makes them true.
//
// # How it fails
//
// A method that returns an error has changed nothing, Commit's *campaign.Refused
// apart. When a commit to disk fails its meta page is taken back, should it have been
// written, and the file is opened anew before it is written again. A file
// that is locked, newer, cut off or no store at all is refused by Open and left as it is. One that is
// cut off later gives the store up (Ended), one that is moved away is written again once it is back.
package store
