// Package watch notices files dropped into an inbox, waits until they have settled, pairs them
// into drops and hands these to a Handler. No other room uses fsnotify.
//
// It reads no contents, and it moves and removes nothing: intake decides whether a drop is
// complete and correct. Watch lists files and looks at them without following links. Just before
// handing files over it opens them, never blocking, to ask for a read lease.
//
// Events are hints, the scan is the truth (docs/contract.md 2). One goroutine owns the fsnotify
// watcher, the pending items and one timer. An event makes it look at one name; every rescan,
// overflow or doubt makes it look at all names. A lost event, a file system without events, or an
// inotify failure therefore costs a delay and nothing else. A file is settled when its size,
// mtime, ctime and inode were equal at two of our own sightings Settle apart, and no process of
// this host has it open for writing. The mtime itself proves nothing, because the sender chooses
// it.
//
// Failures are soft. An inbox that can't be read is logged once, shown in Counts, and tried again
// at every rescan. A missing inbox is never created: its disk may not be mounted.
package watch
