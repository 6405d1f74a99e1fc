package config

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"

	"campaignd/internal/source"
)

// node is one value of a TOML document with its offset. Tables written as
// [header], as a.b = or as {inline} look alike.
type node struct {
	kind   unstable.Kind // Table, ArrayTable (an array of [[tables]]), Array, or a scalar's kind
	offset int           // byte offset
	text   string        // a scalar's text; a string's content
	items  []*node       // of Array and ArrayTable
	names  []string      // of Table: its keys in order
	keys   map[string]*entry
	header bool // a [header] has named it
	closed bool // written as {…}: nothing can be added
}

// entry is one key of a table.
type entry struct {
	offset int // byte offset of the key
	value  *node
}

func newTable(at int) *node {
	return &node{kind: unstable.Table, offset: at, keys: map[string]*entry{}}
}

func (n *node) isTable() bool { return n.kind == unstable.Table }

// tables returns the elements of [[headers]] or of an array of {inline tables}; ok
// is false for anything else.
func (n *node) tables() (tables []*node, ok bool) {
	if n.kind != unstable.ArrayTable && n.kind != unstable.Array {
		return nil, false
	}
	for _, item := range n.items {
		if !item.isTable() {
			return nil, false
		}
	}
	return n.items, true
}

func (n *node) add(name string, at int, value *node) {
	n.names = append(n.names, name)
	n.keys[name] = &entry{offset: at, value: value}
}

// keyOffset returns the offset of the value of the key name, or of n if it lacks the key.
func (n *node) keyOffset(name string) int {
	if e := n.keys[name]; e != nil {
		return e.value.offset
	}
	return n.offset
}

// tree reads data as TOML and calls fail for every broken line and duplicate key.
// After a broken line it continues with the next one, and whole is false: the broken
// line may have held any key.
func tree(data []byte, fail func(at int, field, message string)) (root *node, whole bool) {
	b := &builder{data: data, root: newTable(0)}
	b.fail = func(at int, field, message string) {
		b.faults++
		fail(at, field, message)
	}
	b.current = b.root
	whole = true
	for {
		end, ok := b.run()
		if ok {
			return b.root, whole
		}
		whole = false
		next := bytes.IndexByte(data[end:], '\n')
		if next < 0 || b.faults > maxFaults {
			return b.root, whole
		}
		b.base = end + next + 1
	}
}

type builder struct {
	data    []byte
	base    int // data[base:] is the parser's input
	root    *node
	current *node // the table that receives keys
	path    string
	parser  unstable.Parser
	fail    func(at int, field, message string)
	faults  int
}

// maxFaults bounds the broken lines and duplicate keys of a file: with more it is no
// configuration, and reading ends.
const maxFaults = 1000

// run reads from base to the end or to the first broken line and returns an offset in
// it. If that line may have opened a multi-line string, the rest can't be read and
// the offset is the end.
func (b *builder) run() (end int, ok bool) {
	b.parser.Reset(b.data[b.base:len(b.data):len(b.data)]) // the capacity counts: Range measures by it
	done := b.base                                         // end of the last good expression
	for b.faults <= maxFaults && b.parser.NextExpression() {
		expr := b.parser.Expression()
		keys := b.keysOf(expr)
		last := keys[len(keys)-1]
		done = last.end
		switch expr.Kind {
		case unstable.Table, unstable.ArrayTable:
			b.open(keys, expr.Kind == unstable.ArrayTable)
		default:
			done = b.base + int(expr.Raw.Offset+expr.Raw.Length)
			b.assign(b.current, b.path, keys, b.value(expr.Value(), b.afterEquals(last.end), b.dotted(b.path, keys)))
		}
	}
	err := b.parser.Error()
	if err == nil {
		return len(b.data), true
	}
	end = done
	var at *unstable.ParserError
	if errors.As(err, &at) {
		end = max(end, b.base+int(b.parser.Range(at.Highlight).Offset))
	}
	end = min(end, len(b.data))
	b.fail(end, "", "is no TOML: "+err.Error())
	broken := b.data[done:min(end+3, len(b.data))]
	if bytes.Contains(broken, []byte(`"""`)) || bytes.Contains(broken, []byte("'''")) {
		return len(b.data), false
	}
	start := bytes.LastIndexByte(b.data[:end], '\n') + 1
	if bytes.HasPrefix(bytes.TrimLeft(b.data[start:], " \t"), []byte("[")) {
		b.current, b.path = newTable(end), "" // the owner of the following keys is unknown
	}
	return end, false
}

type keyPart struct {
	name    string
	at, end int
}

func (b *builder) keysOf(expr *unstable.Node) []keyPart {
	var keys []keyPart
	for it := expr.Key(); it.Next(); {
		k := it.Node()
		at := b.base + int(k.Raw.Offset)
		keys = append(keys, keyPart{string(k.Data), at, at + int(k.Raw.Length)})
	}
	return keys
}

// afterEquals returns the offset of the value whose key ends at end.
func (b *builder) afterEquals(end int) int {
	for end < len(b.data) && bytes.IndexByte([]byte(" \t="), b.data[end]) >= 0 {
		end++
	}
	return end
}

// open makes the table of a [header] or [[header]] current. A header that can't be
// opened gets a discarded table, so that its keys aren't added to the table before it.
func (b *builder) open(keys []keyPart, array bool) {
	at, path := b.root, ""
	b.current = newTable(keys[0].at)
	for i, k := range keys {
		path = source.Join(path, k.name)
		b.path = path
		last := i == len(keys)-1
		e := at.keys[k.name]
		switch {
		case e == nil && last && array:
			list := &node{kind: unstable.ArrayTable, offset: k.at, items: []*node{newTable(keys[0].at)}}
			at.add(k.name, k.at, list)
			at = list.items[0]
		case e == nil:
			t := newTable(keys[0].at)
			at.add(k.name, k.at, t)
			at = t
		case e.value.kind == unstable.ArrayTable && last && array:
			t := newTable(keys[0].at)
			e.value.items = append(e.value.items, t)
			at = t
		case e.value.kind == unstable.ArrayTable && !last:
			at = e.value.items[len(e.value.items)-1]
		case e.value.isTable() && !e.value.closed && !(last && (array || e.value.header)):
			at = e.value
		case last && !array && e.value.kind == unstable.ArrayTable:
			b.fail(k.at, path, fmt.Sprintf("is a list of tables (%s): write [[%s]]", b.lineOf(e.offset), path))
			return
		default:
			b.fail(k.at, path, fmt.Sprintf("appears twice; the first is %s", b.lineOf(e.offset)))
			return
		}
	}
	at.header = true
	b.current = at
}

// assign puts value into table under keys.
func (b *builder) assign(table *node, path string, keys []keyPart, value *node) {
	for i, k := range keys {
		path = source.Join(path, k.name)
		e := table.keys[k.name]
		switch {
		case i == len(keys)-1 && e == nil:
			table.add(k.name, k.at, value)
		case e == nil:
			t := newTable(k.at)
			table.add(k.name, k.at, t)
			table = t
		case i < len(keys)-1 && e.value.isTable() && !e.value.closed:
			table = e.value
		default:
			b.fail(k.at, path, fmt.Sprintf("appears twice; the first is %s", b.lineOf(e.offset)))
			return
		}
	}
}

func (b *builder) dotted(path string, keys []keyPart) string {
	for _, k := range keys {
		path = source.Join(path, k.name)
	}
	return path
}

// value converts a node of the parser. at is the offset of nodes for which the parser
// has none; path is the dotted key of the value.
func (b *builder) value(v *unstable.Node, at int, path string) *node {
	if v.Raw.Length > 0 {
		at = b.base + int(v.Raw.Offset)
	}
	switch v.Kind {
	case unstable.Array:
		list := &node{kind: unstable.Array, offset: at}
		for it := v.Children(); it.Next(); {
			if child := it.Node(); child.Kind != unstable.Comment {
				list.items = append(list.items, b.value(child, at, path))
			}
		}
		return list
	case unstable.InlineTable:
		t := newTable(at)
		for it := v.Children(); it.Next(); {
			child := it.Node()
			if child.Kind != unstable.KeyValue {
				continue
			}
			keys := b.keysOf(child)
			b.assign(t, path, keys, b.value(child.Value(), b.afterEquals(keys[len(keys)-1].end), b.dotted(path, keys)))
		}
		t.closed = true
		return t
	default:
		return &node{kind: v.Kind, offset: at, text: string(v.Data)}
	}
}

func (b *builder) lineOf(at int) string {
	return fmt.Sprintf("on line %d", bytes.Count(b.data[:at], []byte("\n"))+1)
}
