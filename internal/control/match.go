package control

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// SendingName is the part of a sending that Match compares.
type SendingName struct {
	ID   campaign.ID
	Name string
}

// Match finds the sending that text names: by its full id; by a short form of its
// id that is unique (its first characters, or its number with or without leading
// zeros); or by the name of its drop, the newest of that name. If text is a short
// form of one sending's id and the name of another, Match doesn't guess: it
// returns CodeConflict and names both. known may be in any order.
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
	// A short form of the named sending's own id isn't ambiguous.
	others := slices.DeleteFunc(slices.Clone(short), func(id campaign.ID) bool { return id == named })
	switch {
	case named != "" && len(others) == 0:
		return named, nil
	case named == "" && len(short) == 1:
		return short[0], nil
	case named != "":
		return "", api.Conflictf("%q is the name of %s and also a short form of %s: give the full id", text, named, idList(others))
	case len(short) > 1:
		return "", api.Conflictf("%q is a short form of %s: give more of the id", text, idList(short))
	default:
		return "", api.NotFoundf("no sending has the id or the name %q%s", text, nearName(text, known))
	}
}

// nearName names the drop with the nearest name, the newest of equally near ones, or says where
// to look. Ids differ in single digits, so none is a better guess than another.
func nearName(text string, known []SendingName) string {
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b SendingName) int { return cmp.Compare(b.ID.Number(), a.ID.Number()) })
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.Name
	}
	return cmp.Or(source.DidYouMean(text, names), "; \"campaignd status --all\" lists them")
}

// idList formats the newest few ids and counts the rest.
func idList(ids []campaign.ID) string {
	const few = 4
	slices.SortFunc(ids, func(a, b campaign.ID) int { return strings.Compare(string(b), string(a)) })
	var names []string
	for _, id := range ids[:min(len(ids), few)] {
		names = append(names, string(id))
	}
	text := strings.Join(names, ", ")
	if more := len(ids) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
