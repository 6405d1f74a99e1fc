package main

import (
	"encoding/binary"
	"fmt"
	"regexp/syntax"
	"slices"
)

// A pattern is a regular expression over digits, determinized as far as it is used. State 0 is dead, 1 the start.
type pattern struct {
	prog   *syntax.Prog
	sets   [][]uint32     // per state: the instructions that read a digit or match
	ids    map[string]int // of sets
	next   [][10]int      // per state, -1: not known yet
	accept []bool
}

func newPattern(expr string) (*pattern, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", expr, err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", expr, err)
	}
	p := &pattern{prog: prog, ids: map[string]int{}}
	p.state(nil)
	p.state(p.closure(nil, uint32(prog.Start)))
	return p, nil
}

// closure adds to set the instructions reached from pc without reading a digit.
func (p *pattern) closure(set []uint32, pc uint32) []uint32 {
	switch inst := &p.prog.Inst[pc]; inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return p.closure(p.closure(set, inst.Out), inst.Arg)
	case syntax.InstCapture, syntax.InstNop:
		return p.closure(set, inst.Out)
	case syntax.InstFail:
		return set
	case syntax.InstEmptyWidth:
		panic("a pattern of the metadata has an assertion, which the automaton can't express")
	}
	if slices.Contains(set, pc) {
		return set
	}
	return append(set, pc)
}

// state returns the state of a set of instructions.
func (p *pattern) state(set []uint32) int {
	slices.Sort(set)
	var key []byte
	for _, pc := range set {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if id, ok := p.ids[string(key)]; ok {
		return id
	}
	id := len(p.sets)
	p.ids[string(key)] = id
	p.sets = append(p.sets, set)
	p.next = append(p.next, [10]int{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1})
	p.accept = append(p.accept, slices.ContainsFunc(set, func(pc uint32) bool { return p.prog.Inst[pc].Op == syntax.InstMatch }))
	return id
}

// step returns the state after a digit.
func (p *pattern) step(state, digit int) int {
	if next := p.next[state][digit]; next >= 0 {
		return next
	}
	var set []uint32
	for _, pc := range p.sets[state] {
		if inst := &p.prog.Inst[pc]; inst.Op != syntax.InstMatch && inst.MatchRune('0'+rune(digit)) {
			set = p.closure(set, inst.Out)
		}
	}
	next := p.state(set)
	p.next[state][digit] = next
	return next
}
