package optouts

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"campaignd/internal/contact"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
)

// column returns the index of a column, ignoring case, or -1.
func column(reader *csvfile.Reader, name string) int {
	return slices.IndexFunc(reader.Columns(), func(c string) bool { return strings.EqualFold(c, name) })
}

// contactsIn returns the indexes of the cells that are phone numbers, addresses or user ids. A first line with one
// is an opt-out instead of a header; treating it as a header would lose it. Only the first may be a number that is
// no phone number: a second one is a reference.
func (im *importer) contactsIn(cells []string) []int {
	var found []int
	for i, cell := range cells {
		if len(found) == 0 && looksLikeNumber(cell) || im.isContact([]byte(cell)) {
			found = append(found, i)
		}
	}
	return found
}

// looksLikeNumber reports whether a cell is five digits or more, with what separates digits.
func looksLikeNumber(cell string) bool {
	digits := 0
	for _, c := range cell {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case !strings.ContainsRune("+-(). ", c):
			return false
		}
	}
	return digits >= 5
}

// isContact reports whether a cell is a phone number, an address or a user id, whatever the channels take.
func (im *importer) isContact(cell []byte) bool {
	cell = bytes.Trim(cell, " ")
	if recipients.ContactReason(cell) != "" {
		return false
	}
	kinds := []contact.Kind{contact.Email, contact.Phone}
	for _, id := range im.Applications {
		country := ""
		if a := im.Config.Application(id); a != nil {
			country = a.Country
		}
		for _, kind := range kinds {
			rules, err := contact.New(kind, country, true)
			if err != nil {
				continue // the configuration has reported it
			}
			if _, why := rules.Normalize(nil, cell); why.Code == "" || why.Code == contact.CodeTrunkZero {
				return true
			}
		}
	}
	return false
}

// bareChannel returns the column of the channel in a list without a header, or -1: the other one of two, and among
// more one that has a channel's name.
func (im *importer) bareChannel(cells []string, codes []int) int {
	if len(cells) == 2 && len(codes) == 1 {
		return 1 - codes[0]
	}
	return slices.IndexFunc(cells, func(cell string) bool { return slices.Contains(im.channels, strings.TrimSpace(cell)) })
}

// findContacts finds the column of the contacts in a list whose header doesn't name it: the only column, or
// the only one of which most cells are contacts. It returns the rows that it has read.
func (im *importer) findContacts(reader *csvfile.Reader) (*csvfile.Batch, error) {
	names := reader.Columns()
	batch := &csvfile.Batch{}
	err := reader.ReadBatch(batch)
	if _, broken := errors.AsType[*csvfile.Broken](err); errors.Is(err, io.EOF) || broken {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []int
	for c := range names {
		contacts, rows := 0, 0
		for i := range min(batch.Len(), sampleRows) {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
				continue
			}
			rows++
			if im.isContact(batch.Cell(i, c)) {
				contacts++
			}
		}
		if contacts*2 > rows {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		im.codes = found
	case len(names) == 1:
		im.codes = []int{0}
	default:
		return nil, nil
	}
	im.done.Problems.Addf(im.Name, 1, 0, "", "taken as the names of the columns, and the column %q as that of the contacts", names[im.codes[0]])
	return batch, nil
}

// sampleRows limits the rows that are read to find the column of contacts.
const sampleRows = 100
