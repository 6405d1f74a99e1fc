package plan

// Reservations reports the messages reserved by all sendings of an application. The
// store implements it inside the transaction that reserves, so that counting and
// reserving are atomic.
type Reservations interface {
	// Reserved fills counts with the messages reserved in the slots first, first+1, …
	Reserved(first int64, counts []uint32) error
}
