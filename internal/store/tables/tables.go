// Package tables keeps the small tables of the store that no sending's transaction reads: the audit
// trail, the records of drivers, the ids of inboxes, the uploads that may be repeated
// (docs/contract.md 10), and the notices of ended sendings. Package store draws the buckets and promotes the methods of Tables. Its own
// package because nothing of it needs to know what a sending is.
//
// Every change is on the disk when its method returns.
package tables

import "campaignd/internal/store/db"

// The buckets, as drawn in the doc comment of package store. Only that of the audit trail is always there.
var (
	bucketAudit    = []byte("audit")
	bucketRecords  = []byte("records")
	bucketRequests = []byte("requests")
	bucketNotices  = []byte("notices")
)

// Tables are the small tables of a file. The methods are safe for concurrent use.
type Tables struct{ db *db.DB }

// Open returns the tables of a file.
func Open(file *db.DB) Tables { return Tables{file} }
