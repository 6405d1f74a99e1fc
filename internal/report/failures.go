package report

import (
	"cmp"
	"slices"

	"campaignd/internal/campaign"
)

// Failure counts messages that failed, expired after a failed attempt, are unknown or were not delivered for the same reason.
type Failure struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Count     uint64 `json:"count"`
	FirstLine uint32 `json:"firstLine"`
}

// maxFailures limits the groups. Where details differ from message to message, the rest is
// counted in one group without a code.
const maxFailures = 100

const otherFailures = "other reasons; results.csv has them"

// failureGroups groups failures by code and detail.
type failureGroups struct {
	groups map[[2]string]*Failure
}

func (g *failureGroups) add(code, detail string, line uint32) {
	if g.groups == nil {
		g.groups = map[[2]string]*Failure{}
	}
	key := [2]string{code, detail}
	f := g.groups[key]
	if f == nil && len(g.groups) >= maxFailures {
		code, detail = "", otherFailures
		key = [2]string{code, detail}
		f = g.groups[key]
	}
	if f == nil {
		f = &Failure{Code: code, Detail: detail, FirstLine: line}
		g.groups[key] = f
	}
	f.Count++
}

// list returns the groups, the largest first.
func (g *failureGroups) list() []Failure {
	list := make([]Failure, 0, len(g.groups))
	for _, f := range g.groups {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.FirstLine, b.FirstLine), cmp.Compare(a.Code, b.Code))
	})
	return list
}

// Problem is an error of the drop, with how often an equal one was found.
type Problem struct {
	campaign.Problem
	Count int `json:"count,omitempty"` // more than 1: places of equal errors, this is the first
}

// groupProblems groups equal problems under the first of them.
func groupProblems(list []campaign.Problem) []Problem {
	groups := make([]Problem, 0, len(list))
	index := map[campaign.Problem]int{}
	for _, p := range list {
		key := p
		key.Line, key.Column = 0, 0
		i, found := index[key]
		if !found {
			index[key] = len(groups)
			groups = append(groups, Problem{Problem: p, Count: 1})
			continue
		}
		groups[i].Count++
	}
	for i := range groups {
		if groups[i].Count == 1 {
			groups[i].Count = 0
		}
	}
	return groups
}
