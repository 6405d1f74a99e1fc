package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"campaignd/internal/campaign"
)

// Known is as much of a sending as Match needs.
type SendingName struct {
	ID   campaign.ID
	Name string
}

// Match finds the sending that a person means by text: a full id; a shortened
// one (its first characters, or its number with or without leading zeros) that
// is unique; or the name of a drop, of which the newest is taken. Where text is
// a shortened id of one sending and the name of another, nothing is guessed:
// the error is CodeConflict and names them. known may be in any order.
func Match(text string, known []SendingName) (campaign.ID, error) {
	var short []campaign.ID
	var named campaign.ID
	number, numberErr := strconv.ParseUint(text, 10, 64)
	for _, k := range known {
		if string(k.ID) == text {
			return k.ID, nil
		}
		if k.Name == text && k.ID.Number() >= named.Number() {
			named = k.ID
		}
		if text != "" && strings.HasPrefix(string(k.ID), text) || numberErr == nil && number > 0 && k.ID.Number() == number {
			short = append(short, k.ID)
		}
	}
	// Another sending of the same name is no other meaning.
	others := slices.DeleteFunc(slices.Clone(short), func(id campaign.ID) bool { return id == named })
	switch {
	case named != "" && len(others) == 0:
		return named, nil
	case named == "" && len(short) == 1:
		return short[0], nil
	case named != "":
		return "", Conflictf("%q is the name of %s and a short form of %s: give the full id", text, named, list(others))
	case len(short) > 1:
		return "", Conflictf("%q is short for %s: give more of the id", text, list(short))
	default:
		return "", NotFoundf("no sending has the id or the name %q; \"campaignd status\" lists them", text)
	}
}

// list names a few ids, newest first, and counts the rest.
func list(ids []campaign.ID) string {
	const few = 4
	slices.SortFunc(ids, func(a, b campaign.ID) int { return strings.Compare(string(b), string(a)) })
	var b strings.Builder
	for i, id := range ids {
		if i == few {
			fmt.Fprintf(&b, " and %d more", len(ids)-few)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(id))
	}
	return b.String()
}
