package main

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// Marks of a state, as package contact reads them.
const (
	markValid  = 1 << iota // the digits so far are a valid national number
	markPrefix             // and its national format begins with the national prefix
)

// stride is the number of entries of a state in the table: the states after each digit and its marks. States are known
// by the index of their first entry, which has to fit 16 bits.
const stride = 11

// A node is a state of the automaton: the states after each digit, and its marks.
type node [stride]uint16

// A table is the automaton of all calling codes. State 0 is dead.
type table struct {
	nodes []node
	ids   map[node]uint16
}

func newTable() *table { return &table{nodes: make([]node, 1), ids: map[node]uint16{{}: 0}} }

// id returns the state of a node; equal nodes are one state.
func (t *table) id(n node) (uint16, error) {
	if id, ok := t.ids[n]; ok {
		return id, nil
	}
	if (len(t.nodes)+1)*stride > 1<<16 {
		return 0, errors.New("more states than 16 bits can number")
	}
	id := uint16(len(t.nodes) * stride)
	t.nodes, t.ids[n] = append(t.nodes, n), id
	return id, nil
}

// walk returns the state after digits.
func (t *table) walk(state uint16, digits string) uint16 {
	for _, d := range []byte(digits) {
		state = t.nodes[state/stride][d-'0']
	}
	return state
}

// add compiles the plans of a calling code and sets its start.
func (t *table) add(c *callingCode) error {
	b := builder{table: t, code: c, known: map[string]uint16{}, index: map[string]int{}}
	for _, m := range c.regions {
		if err := b.region(m); err != nil {
			return err
		}
	}
	if err := b.formats(c.regions[0]); err != nil {
		return err
	}
	states := make([]int, len(b.patterns))
	for i := range states {
		states[i] = 1
	}
	start, err := b.build(states, 0)
	c.start = start
	return err
}

// A builder runs all patterns of a calling code side by side.
type builder struct {
	table    *table
	code     *callingCode
	patterns []*pattern
	index    map[string]int // of patterns, by expression
	plans    []plan
	rules    []formatRule
	known    map[string]uint16 // states of the patterns and length -> state
}

// A plan is a region's: a number is valid if general and one of the kinds describe it.
type plan struct {
	general description
	kinds   []description
}

// A description is a pattern and the lengths that it may have; no length: any.
type description struct {
	pattern int
	lengths []int32
}

// A formatRule is a national format; the first that fits a number is its format.
type formatRule struct {
	leading, whole int // patterns; leading is -1 where every number has the leading digits
	prefix         bool
}

// pattern returns the index of an expression, which is compiled once.
func (b *builder) pattern(expr string) (int, error) {
	if i, ok := b.index[expr]; ok {
		return i, nil
	}
	p, err := newPattern(expr)
	if err != nil {
		return 0, err
	}
	b.index[expr] = len(b.patterns)
	b.patterns = append(b.patterns, p)
	return len(b.patterns) - 1, nil
}

func (b *builder) region(m *phonenumbers.PhoneMetadata) error {
	var p plan
	var err error
	if p.general.pattern, err = b.pattern(m.GetGeneralDesc().GetNationalNumberPattern()); err != nil {
		return err
	}
	p.general.lengths = m.GetGeneralDesc().GetPossibleLength()
	for _, kind := range kinds(m) {
		if kind.GetNationalNumberPattern() == "" || slices.Contains(kind.GetPossibleLength(), -1) {
			continue // there are no numbers of that kind
		}
		i, err := b.pattern(kind.GetNationalNumberPattern())
		if err != nil {
			return err
		}
		p.kinds = append(p.kinds, description{i, kind.GetPossibleLength()})
	}
	b.plans = append(b.plans, p)
	return nil
}

func (b *builder) formats(m *phonenumbers.PhoneMetadata) error {
	for _, f := range m.GetNumberFormat() {
		r := formatRule{leading: -1, prefix: startsWithPrefix(m, f)}
		var err error
		if r.whole, err = b.pattern(f.GetPattern()); err != nil {
			return err
		}
		if leading := f.GetLeadingDigitsPattern(); len(leading) > 0 { // the last is the most detailed
			if r.leading, err = b.pattern("(?:" + leading[len(leading)-1] + `)\d*`); err != nil {
				return err
			}
		}
		b.rules = append(b.rules, r)
	}
	return nil
}

// build returns the state of the automaton for the states of the patterns after length digits.
func (b *builder) build(states []int, length int) (uint16, error) {
	key := []byte{byte(length)}
	for _, s := range states {
		key = binary.LittleEndian.AppendUint16(key, uint16(s))
	}
	if id, ok := b.known[string(key)]; ok {
		return id, nil
	}
	n := node{stride - 1: b.mark(states, length)}
	if b.code.lengths>>(length+1) != 0 && b.alive(states) {
		next := make([]int, len(states))
		for digit := range 10 {
			for i, s := range states {
				next[i] = b.patterns[i].step(s, digit)
			}
			id, err := b.build(next, length+1)
			if err != nil {
				return 0, err
			}
			n[digit] = id
		}
	}
	id, err := b.table.id(n)
	b.known[string(key)] = id
	return id, err
}

// alive reports whether more digits can make a valid number.
func (b *builder) alive(states []int) bool {
	return slices.ContainsFunc(b.plans, func(p plan) bool {
		return states[p.general.pattern] != 0 &&
			slices.ContainsFunc(p.kinds, func(d description) bool { return states[d.pattern] != 0 })
	})
}

func (b *builder) mark(states []int, length int) uint16 {
	if b.code.lengths>>length&1 == 0 || !slices.ContainsFunc(b.plans, func(p plan) bool {
		return b.matches(p.general, states, length) &&
			slices.ContainsFunc(p.kinds, func(d description) bool { return b.matches(d, states, length) })
	}) {
		return 0
	}
	for _, r := range b.rules {
		if b.accepts(r.whole, states) && (r.leading < 0 || b.accepts(r.leading, states)) {
			if r.prefix {
				return markValid | markPrefix
			}
			break
		}
	}
	return markValid
}

func (b *builder) matches(d description, states []int, length int) bool {
	return (len(d.lengths) == 0 || slices.Contains(d.lengths, int32(length))) && b.accepts(d.pattern, states)
}

func (b *builder) accepts(pattern int, states []int) bool {
	return b.patterns[pattern].accept[states[pattern]]
}
