// Package optout keeps who must not be written to: the opt-outs of each application's channel
// (docs/contract.md 10), the user ids under which a contact also goes, and hashes of the contacts
// that were forgotten. Package store draws the buckets and promotes the methods of Table.
//
// Its own package because nothing of it needs a sending, and no other part of the store needs to
// know how opt-outs are stored: sendings ask OptedOut before each attempt.
//
// # How contacts are compared
//
// Rules give the normal form of a contact, which is the key of an opt-out. When their version
// changes, every key is computed again; until that is done, both the old and the new one count.
// An opt-out keeps the text as it was written, so that nothing is lost.
//
// # How they are stored and found
//
// Blocks of up to 64 opt-outs in order of key take about as much room as a file of the contacts
// (block.go, merge.go). A Bloom filter in memory answers for most contacts that they have not
// opted out (filter.go); the file decides about the others. The filter may have a key too much,
// never one too few: a key is in it before its transaction is committed.
//
// # Two names of one person
//
// A receipt may tell that a user id belongs to a contact (LearnUserID). What one of the two has
// opted out of, the other has too from then on.
//
// A forgotten contact leaves a hash under a random key of the file. It counts as opted out of
// everything, and no user id is learned for it again.
package optout
