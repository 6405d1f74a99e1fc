// Package document reads the three JSON documents campaignd lives on: the
// layout and the sidecar of a drop, and a campaign file (SPEC 3, 5, 6).
//
// It is pure: bytes in, values and problems out; it reads no file and no clock.
// It is strict: an unknown, repeated or wrongly cased key, a wrong type, a null,
// text that is not UTF-8 or anything after the end is a problem with its line,
// its column, what was found and what would be right. All problems of a
// document are found at once; only broken JSON ends the reading where it breaks.
// Input is hostile: size and depth are bounded, and so are time and memory.
package document

import "campaignd/internal/campaign"

// MaxSize is the most bytes a document may have (SPEC 4, limits). Who reads the
// file needs to read no more than MaxSize+1.
const MaxSize = 1 << 20

// Reference is a variable in a Text and where it stands.
type Reference struct {
	Name         string // in NFC
	Line, Column int    // of its "{{" in the file
}

// Text is a string of a layout with its {{column}} variables kept parsed.
type Text struct {
	Segments     []campaign.Segment // variables in NFC, as header names are compared (SPEC 4)
	Line, Column int                // where its value stands in the file; 0 if it is absent
	References   []Reference        // one for each variable in Segments, in order
}
