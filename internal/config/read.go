package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// reader turns a tree into a Config and collects the faults.
type reader struct {
	keys     []Key
	complete bool // every line could be read; if not, a missing key may be in a broken line
	faults   []fault
}

type fault struct {
	offset         int
	field, message string
}

func (r *reader) addFault(at int, field, format string, args ...any) {
	r.faults = append(r.faults, fault{at, field, fmt.Sprintf(format, args...)})
}

// problems returns the faults in the order of their offsets in data.
func (r *reader) problems(file string, data []byte) campaign.Problems {
	slices.SortStableFunc(r.faults, func(a, b fault) int { return cmp.Compare(a.offset, b.offset) })
	var p campaign.Problems
	at := source.NewLocator(data)
	for i, f := range r.faults {
		if i >= campaign.MaxProblems {
			p.Count++ // not listed, so it needs no position
			continue
		}
		line, column := at.At(f.offset)
		p.Add(campaign.Problem{File: file, Line: line, Column: column, Field: f.field, Message: f.message})
	}
	return p
}

// table reads n into target by the keys of scope, defaults first. path is the
// table's dotted name for people, driver a channel's, and subs reads its subtables.
func (r *reader) table(scope Scope, path, driver string, target any, n *node, subs map[string]func(e *entry, path string)) {
	for i := range r.keys {
		k := &r.keys[i]
		if k.Scope != scope || !k.Applies(driver) {
			continue
		}
		if k.Required && n.keys[k.Name] == nil && r.complete {
			r.addFault(n.offset, join(path, k.Name), "is missing: it has no default")
		}
		r.setDefault(k, driver, target)
	}
	for _, name := range n.names {
		e, field := n.keys[name], join(path, name)
		if sub := subs[name]; sub != nil {
			sub(e, field)
			continue
		}
		k := r.find(scope, name)
		switch {
		case k == nil:
			r.addFault(e.offset, field, "%s", r.unknown(scope, driver, name, subs))
		case driver == noDriver && !k.Applies(driver):
			// Without a driver, nobody knows whether the key is right.
		case !k.Applies(driver):
			r.addFault(e.offset, field, "belongs to the driver %s; this channel's driver is %s", orList(k.Drivers), driver)
		default:
			k.bind.read(target, e.value, func(at *node, format string, args ...any) {
				r.addFault(at.offset, field, format, args...)
			})
		}
	}
}

// setDefault sets the key's default in target.
func (r *reader) setDefault(k *Key, driver string, target any) {
	def := k.DefaultFor(driver)
	if def == "" {
		return
	}
	root, _ := tree([]byte("v = "+def), func(int, string, string) {})
	k.bind.read(target, root.keys["v"].value, func(*node, string, ...any) {})
}

func (r *reader) find(scope Scope, name string) *Key {
	i := slices.IndexFunc(r.keys, func(k Key) bool { return k.Scope == scope && k.Name == name })
	if i < 0 {
		return nil
	}
	return &r.keys[i]
}

// unknown explains a key that scope doesn't have: it may belong elsewhere or be misspelt.
func (r *reader) unknown(scope Scope, driver, name string, subs map[string]func(*entry, string)) string {
	var known []string
	for i := range r.keys {
		k := &r.keys[i]
		if k.Scope == scope && (driver == noDriver || k.Applies(driver)) {
			known = append(known, k.Name)
		}
	}
	for sub := range subs {
		known = append(known, sub)
	}
	slices.Sort(known)
	if name == "slicing" || name == "channels" {
		return "is no key of this table; it belongs " + place(ScopeApplication)
	}
	for i := range r.keys {
		if k := &r.keys[i]; k.Name == name && name != "name" {
			return fmt.Sprintf("is no key of this table; it belongs %s", place(k.Scope))
		}
	}
	if near := didYouMean(name, known); near != "" {
		return "is no known key" + near
	}
	return "is no known key; here there are " + strings.Join(known, ", ")
}

// place describes the location of a scope's keys in words.
func place(s Scope) string {
	switch s {
	case ScopeTop:
		return "at the top of the file"
	case ScopeInbox, ScopeApplication:
		return fmt.Sprintf("under [[%s]]", s)
	default:
		return fmt.Sprintf("under [%s]", s)
	}
}

func orList(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		s := names[0]
		for _, name := range names[1 : n-1] {
			s += ", " + name
		}
		return s + " or " + names[n-1]
	}
}

// config reads the whole tree.
func (r *reader) config(root *node) *Config {
	c := &Config{}
	log := newTable(root.offset)
	var inboxes, applications []*node
	r.table(ScopeTop, "", "", c, root, map[string]func(*entry, string){
		"log": func(e *entry, path string) { log = r.tableOf(e, path) },
		"inboxes": func(e *entry, path string) {
			for _, n := range r.tablesOf(e, path) {
				c.Inboxes = append(c.Inboxes, r.inbox(n, path))
				inboxes = append(inboxes, n)
			}
		},
		"applications": func(e *entry, path string) {
			for _, n := range r.tablesOf(e, path) {
				c.Applications = append(c.Applications, r.application(n, path))
				applications = append(applications, n)
			}
		},
	})
	r.table(ScopeLog, string(ScopeLog), "", c, log, nil)
	r.check(c, root, inboxes, applications)
	return c
}

func (r *reader) inbox(n *node, path string) Inbox {
	var in Inbox
	r.table(ScopeInbox, path, "", &in, n, nil)
	return in
}

func (r *reader) application(n *node, path string) Application {
	var a Application
	slicing := newTable(n.offset)
	channels := newTable(n.offset)
	r.table(ScopeApplication, path, "", &a, n, map[string]func(*entry, string){
		"slicing":  func(e *entry, path string) { slicing = r.tableOf(e, path) },
		"channels": func(e *entry, path string) { channels = r.tableOf(e, path) },
	})
	r.table(ScopeSlicing, string(ScopeSlicing), "", &a, slicing, nil)
	r.checkSlicing(&a, slicing)
	r.checkWindows(&a, n)
	for _, name := range channels.names {
		e, path := channels.keys[name], join(path+".channels", name)
		if !channelName(name) {
			r.addFault(e.offset, path, "%q can't name a channel: 1 to 64 letters, digits, _ and - can", clip(name))
			continue
		}
		if a.Channels == nil {
			a.Channels = map[string]Channel{}
		}
		a.Channels[name] = r.channel(name, r.tableOf(e, path), path)
	}
	if len(channels.names) == 0 && r.complete {
		r.addFault(n.offset, path+".channels", "is missing: an application needs a channel, such as [%s.channels.cloud_api]", path)
	}
	return a
}

func (r *reader) channel(name string, n *node, path string) Channel {
	ch := Channel{Name: name}
	driver := r.driver(n)
	r.table(ScopeChannel, path, driver, &ch, n, nil)
	r.checkChannel(&ch, n, path)
	return ch
}

// noDriver is used for a channel that names no driver or an unknown one: the keys that
// all drivers have are read, the others skipped.
const noDriver = "?"

// driver returns the channel's driver or noDriver.
func (r *reader) driver(n *node) string {
	e := n.keys["driver"]
	if e == nil {
		return noDriver
	}
	name, ok := oneOf(Drivers()...).parse(e.value, func(*node, string, ...any) {})
	if !ok {
		return noDriver
	}
	return name
}

// tableOf returns the table that e holds, an empty one if it holds something else.
func (r *reader) tableOf(e *entry, path string) *node {
	if e.value.isTable() {
		return e.value
	}
	r.addFault(e.offset, path, "found %s where a table is wanted: write [%s]", kindName(e.value), path)
	return newTable(e.offset)
}

// tablesOf returns the tables that e holds.
func (r *reader) tablesOf(e *entry, path string) []*node {
	tables, ok := e.value.tables()
	if !ok {
		r.addFault(e.offset, path, "found %s where a list of tables is wanted: write [[%s]]", kindName(e.value), path)
	}
	return tables
}
