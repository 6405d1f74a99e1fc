package source

import (
	"cmp"
	"fmt"
	"slices"

	"campaignd/internal/campaign"
)

// maxFindings bounds the memory for findings; beyond it they are only counted. It is more than a report lists,
// because the findings are sorted by place afterwards.
const maxFindings = 10 * campaign.MaxProblems

// Findings collects the problems of one text by byte offset. The zero value is empty.
type Findings struct {
	list  []finding
	count int
}

// finding is a problem whose position is still a byte offset.
type finding struct {
	code           string
	offset         int
	field, message string
}

// Full reports whether one more finding would only be counted, so that its message isn't needed.
func (f *Findings) Full() bool { return len(f.list) >= maxFindings }

// Add adds a finding about the value of field (a dotted path, "" for the text as a whole) at a byte offset.
func (f *Findings) Add(code string, offset int, field, format string, args ...any) {
	f.count++
	if !f.Full() {
		f.list = append(f.list, finding{code, offset, field, fmt.Sprintf(format, args...)})
	}
}

// Problems returns the findings in data, the text of a file, in the order of their offsets.
func (f *Findings) Problems(file string, data []byte) campaign.Problems {
	slices.SortStableFunc(f.list, func(a, b finding) int { return cmp.Compare(a.offset, b.offset) })
	var p campaign.Problems
	at := NewLocator(data)
	for _, one := range f.list[:min(len(f.list), campaign.MaxProblems)] {
		line, column := at.At(one.offset)
		p.Add(campaign.Problem{Code: one.code, File: file, Line: line, Column: column, Field: one.field, Message: one.message})
	}
	p.Count = f.count
	return p
}

// Join returns the dotted path of a key in the table or object at path.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
