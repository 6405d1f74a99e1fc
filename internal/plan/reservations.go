package plan

// Bookings is what planning needs to know of the messages booked by all
// sendings of an application. The store implements it inside the transaction that
// books, so that counting and booking are one.
type Reservations interface {
	// Reserved fills counts with the messages booked in the slots first, first+1, …
	Reserved(first int64, counts []uint32) error
}
