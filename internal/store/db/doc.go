// Package db keeps one bbolt file: transactions, versions, compaction, backup and replication.
// Package store draws what is in it and says in which order things become durable.
//
// It knows the bucket Meta alone, where it keeps the file's version, tag, epoch and number of commits.
// Whoever writes goes through Bucket, so that the log gets every change. It starts no goroutine.
//
// # Replication
//
// A replicated file (DB.Replicate) also appends the write set of each commit to a Log: every key
// and value that the commit writes, in order. The append begins before bbolt's sync, and a method
// returns when both are done; the next commit may begin meanwhile. So the log is never behind what
// a method has reported. After a crash the store may lack the last sets of the log, and a Follower
// adds them.
//
// A Follower applies write sets to a copy of the file. A set says which position it follows
// (Position: tag, epoch, number of commits), and is applied to exactly that one. The copy begins
// with a base (DB.Snapshot), and becomes an ordinary store when it is closed and opened. Not in the
// log are compactions, which change no content, and what Open itself commits (migrations, the hold
// of a restored store): after those the position isn't the log's any more, and a base is needed.
//
// # Errors
//
// When a write of a commit fails, the file is reopened before the next one. When a sync of the file
// fails, or one of its folder after a compaction, nobody knows what is on the disk, and the DB ends
// (Ended, ErrUnsynced). A replicated one also ends when its log says that another hub leads
// (ErrDeposed), when a commit fails after its set was appended (ErrUncertain), or when a compacted
// file can't be opened: a standby has its copy. Open refuses a file that is locked, newer, truncated or not a store, and
// leaves it unchanged. A file moved while open is written again once it is back in its place.
//
// A file truncated while open ends the DB too (guard). Somebody who copies a backup over
// the store of a running daemon truncates it: without the check of its size before each
// transaction the next commit would write pages of the old store into the restored one, and
// without caught faults the kernel would end the process with no word about the cause.
package db
