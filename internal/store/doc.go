// Package store keeps campaignd's state in one bbolt file: sendings and their rows,
// the status and outcome of every message, and the timeline. Nobody else knows bbolt.
//
// A Store is put together from parts, whose methods are its own. Those of this package share the
// transactions of core: Acceptance takes a drop from its claim to its acceptance (begin.go, append.go,
// accept.go), Timeline knows what is due (due.go), committer records attempts and results (commit.go,
// status_writer.go), Recovery resolves what was in flight at the end of a process (recover.go),
// Retention removes old sendings (retire.go). Store itself reads sendings and changes their state
// (sendings.go, states.go, replan.go, resend.go).
//
// Packages below it have what needs little or nothing of a sending: db the file, inbound
// receipts and replies, slots the slices and what they reserve, optout who must not be written to,
// quota how many contacts were written to in 24 hours, tables the audit trail and other small
// tables.
//
// It doesn't plan, send or touch drop folders. Every transaction leaves the
// counters balanced. It starts no goroutine.
//
// # Schema
//
//	meta            version (4 bytes), tag (8 hex digits), states (sendings in each state),
//	                optoutrules (rules of the opt-outs' keys), forgetkey (32 bytes),
//	                inbox/PATH (random id of the inbox there),
//	                epoch (8) of the hub whose commits follow; only in a replicated store,
//	                unmatchedreplies (deleted replies that belong to no sending, since when)
//	sendings        number (8) -> format, state, filed, application, header as JSON
//	active          number -> record: what every commit needs of a sending that isn't filed
//	slices          number -> slices in order of time, each with its reserved capacity
//	counts          number -> base (outcome of chunks without statuses), messages at each outcome
//	chunks          number, chunk (4) -> up to 4,096 recipients in columns, s2
//	marks           number, chunk -> one status byte a message; absent: all at base
//	outcomes        number, chunk, sequence (2) -> block of details, 16 KB; the last one is open
//	inflight        number, chunk -> messages of the chunk in flight
//	refusals        number, sequence (4) -> block of rows that were not accepted, s2
//	timeline        due (8), number -> empty; one entry an active sending, never too late
//	retries         number, due, row (4), message (1) -> attempts, time, code, detail, 1 if maybe delivered
//	waiting         number, row, message -> due: the message's key in retries
//	slots           application (8), page (8) -> messages reserved in 256 slots
//	grids           application -> slot length of the bucket slots
//	attempts        application -> start of the last slot with an attempt (8), attempts that count for it (8)
//	digests         sha256 -> number and time of the acceptance that makes another a duplicate
//	optouts         application, channel, 0, lowest contact -> block of up to 64 opt-outs; the sequence counts them all
//	origins         number -> where and when opt-outs came in, as JSON
//	forgotten       keyed hash (16) of a contact -> time
//	deliveries      number, line (4), message (1) -> newest receipt: state, time, code, detail, digests of the attempt and of those before a resend
//	told            number -> receipt counts by state, changes so far, changes shown in its files
//	strays          sequence -> receipt without a key, not matched to a message yet, as JSON
//	replies         number, time (8, ms), provider's id -> reply of a recipient, as JSON
//	newreplies      provider's id -> reply not matched to a sending yet, as JSON
//	audit           time (8), sequence (8) -> entry as JSON
//	leaving         number -> empty; a removed sending whose data is still being deleted
//	userids         made on first use; user id -> time (8) of its last receipt, contact
//	requests        made on first use; key (32) of an upload -> Request as JSON
//	notices         made on first use; number of an ended sending -> Notice as JSON
//	useridsof       made on first use; contact, 0, user id -> empty
//	handouts        made on first use; number, row, message -> number (8) of the batch for workers
//	                with which it is in flight, where on_unknown is "hold"
//	records         made on first use; name of a driver's record -> value
//	contacts        made on first use; one bucket a name, its sequence is the count:
//	  name/seen     contact (8) -> minute (4) of the last message, rounded up
//	  name/ages     minute, contact -> empty; the oldest first
//
// The sequence of the bucket meta counts commits. A small generation file next to the
// store (its name plus .latest) repeats that count. It shows when an older copy has
// replaced the store; its sendings are then held (restored.go).
//
// Numbers are big endian, so keys sort in order. A sending's number comes from the
// sequence of the bucket sendings and is never reused. Chunks, statuses and details
// come in ascending order and fill their pages: half-full pages would double the file.
//
// A status byte holds a message's outcome, its attempts, and whether one of them may have
// been delivered. A message that its row's
// channel doesn't have is Skipped and not counted. Statuses, counters, details, retries
// and the in-flight index change in one transaction, and only through statusWriter.
//
// # Order of durability
//
//  1. Begin: the claim is on disk before a file is moved. A crash leaves a sending
//     in state checking, which Unfiled yields.
//  2. AppendRows: rows are on disk, in several transactions, before they count. A
//     crash leaves the rows of a checking sending, which DiscardRows removes.
//  3. Accept: the duplicate check, reservations, slices, header and timeline are one
//     transaction. Nothing is promised before it.
//  4. Commit of an attempt: on disk before the message goes out. A crash between
//     the two leaves the message in flight although it was never sent.
//  5. Commit of the result. A crash before it leaves the message in flight; Recover
//     makes it Pending again, under the same key, or Unknown.
//  6. Finish, once every message has a final outcome; then the reports, the move of the
//     folder, and Filed. A crash between them leaves a final sending that isn't filed,
//     which Unfiled yields.
//
// Each change is synced when its method returns: bbolt syncs the data pages, then the
// meta page that makes them visible.
//
// # Errors
//
// A method that returns an error has changed nothing, except that Commit writes the
// rest when it returns a *campaign.Refused. What happens when the file fails, package db says.
package store
