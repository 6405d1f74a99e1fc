package document

import "campaignd/internal/campaign"

// Layout says how a row becomes a recipient (SPEC 3).
type Layout struct {
	File        string // base name as dropped, for messages
	ContactCode Text
	ChannelType Text
	Fields      []Field // customFields in the order of the file
}

// Field is one custom field: the campaign's variable Name gets Value.
type Field struct {
	Name  string
	Value Text
}

// Constant is the text if it holds no variable.
func (t Text) Constant() (string, bool) { panic("being built") }

// Variables are the names of the text's variables, in order, each once, in NFC.
func (t Text) Variables() []string { panic("being built") }

// ParseLayout reads a layout. file is its base name, for messages. The layout is
// nil only where the JSON is broken; with problems.Count > 0 it holds what was
// understood and serves only to look for more problems.
func ParseLayout(file string, data []byte) (l *Layout, problems campaign.Problems, warnings []campaign.Problem) {
	panic("being built")
}

// CheckColumns finds every variable that is no column of the CSV, compared in NFC.
func (l *Layout) CheckColumns(columns []string) campaign.Problems { panic("being built") }

// CheckVariables finds every variable of the campaign that customFields lacks.
func (l *Layout) CheckVariables(needed []string) campaign.Problems { panic("being built") }
