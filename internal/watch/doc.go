// Package watch notices what is dropped into an inbox, waits until files have
// settled, pairs them into drops, and hands these to a Handler. It is the only
// room that knows fsnotify.
//
// It reads no contents, moves nothing and removes nothing: whether a drop is
// whole, right or wanted is intake's to find out. Files are listed, looked at
// without following links, and opened (never blocking) for nothing but a read
// lease just before they are handed over.
//
// Events are hints, the scan is the truth (SPEC 2): one goroutine owns the
// fsnotify watcher, the pending files and one timer; an event makes it look at
// a name, and every rescan, overflow or doubt makes it look at all of them. So
// a lost event, a file system without events, or no inotify at all costs a
// delay and nothing else. A file is settled when size, mtime, ctime and inode
// stood still between a first and a last sighting of our own that are Settle
// apart (mtime itself is the sender's to choose), and no process of this host
// has it open for writing.
//
// It fails softly: an inbox that can't be read is said once, shown in Counts,
// and tried again at every rescan. An inbox that vanished is not made again: an
// unmounted disk must not be papered over with an empty folder.
package watch
