package document

import (
	"strings"

	"campaignd/internal/campaign"
)

// ColumnsLayout describes an inbox whose layout is "columns" (docs/contract.md 2, one file is
// enough): the CSV's own columns take the place of a layout.
type ColumnsLayout struct {
	File      string   // of the CSV, for messages
	Columns   []string // of the CSV
	Variables []string // of the campaign
	Contacts  []string // columns that may be the contactCode, best first; compared in any case
	Channels  []string // the campaign's channels
}

// Wanted returns the names of the columns that such a CSV may have.
func (c *ColumnsLayout) Wanted() []string {
	return append(append([]string{"channelType"}, c.Contacts...), c.Variables...)
}

// Layout returns the layout: each variable of the campaign is the column of the same name,
// contactCode the first of Contacts that is a column, and channelType the column of that name or
// the campaign's only channel.
func (c *ColumnsLayout) Layout() (*Layout, campaign.Problems) {
	var problems campaign.Problems
	add := func(code, field, format string, args ...any) {
		problems.AddCode(code, c.File, 0, 0, field, format, args...)
	}
	l := &Layout{File: c.File}
	for _, name := range c.Contacts {
		if column, ok := c.find(name); ok {
			l.ContactCode = columnText(column)
			break
		}
	}
	if !l.ContactCode.Given() {
		add("columns-contact", "contactCode", "this inbox takes the contactCode from one of the columns %s, and the CSV has none of them (its columns: %s)",
			list(c.Contacts), list(c.Columns))
	}
	if column, ok := c.find("channelType"); ok {
		l.ChannelType = columnText(column)
	} else if len(c.Channels) == 1 {
		l.ChannelType = Text{Segments: []Segment{{Text: c.Channels[0]}}}
	} else {
		add("columns-channel", "channelType", "the campaign can be sent on %s, and the CSV has no column \"channelType\" that says on which", list(c.Channels))
	}
	for _, name := range c.Variables {
		column, ok := c.same(name)
		if !ok {
			l.incomplete = true
			add("column-unknown", name, "the campaign uses {{%s}}, and the CSV has no column %s%s (its columns: %s)",
				name, quote(name), didYouMean(name, c.Columns), list(c.Columns))
			continue
		}
		l.Fields = append(l.Fields, Field{Name: name, Value: columnText(column)})
	}
	return l, problems
}

// find returns the column of that name in any case; one in the same case is better.
func (c *ColumnsLayout) find(name string) (string, bool) {
	if column, ok := c.same(name); ok {
		return column, true
	}
	for _, column := range c.Columns {
		if strings.EqualFold(nfc(column), nfc(name)) {
			return column, true
		}
	}
	return "", false
}

func (c *ColumnsLayout) same(name string) (string, bool) {
	for _, column := range c.Columns {
		if nfc(column) == nfc(name) {
			return column, true
		}
	}
	return "", false
}

// columnText is the text {{column}}.
func columnText(column string) Text {
	name := nfc(column)
	return Text{Segments: []Segment{{Variable: &Variable{Name: name, Base: name}}}}
}
