package calendar

import "time"

// ParseInstant reads an ISO 8601 date-time with offset or Z, or without one in
// loc. It is an error if there is no offset and loc is nil, or the local time doesn't exist or exists twice.
func ParseInstant(text string, loc *time.Location) (time.Time, error) { panic("being built") }
