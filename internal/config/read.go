package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"campaignd/internal/source"
)

// reader turns a tree into a Config and collects the faults.
type reader struct {
	drivers  []Driver
	keys     []Key // of all tables, without the drivers' own
	complete bool  // every line could be read; if not, a missing key may be in a broken line
	found    source.Findings
}

func (r *reader) addFault(at int, field, format string, args ...any) {
	r.found.Add("", at, field, format, args...)
}

// field is a key and the struct that holds its value.
type field struct {
	key    *Key
	target any
}

// fields returns the fields of a scope whose values target holds.
func (r *reader) fields(scope Scope, target any) []field { return fieldsOf(r.keys, scope, target) }

func fieldsOf(keys []Key, scope Scope, target any) (list []field) {
	for i := range keys {
		if keys[i].Scope == scope {
			list = append(list, field{&keys[i], target})
		}
	}
	return list
}

// channelFields returns the fields of a channel; a channel without a known driver has only those
// that all drivers have.
func channelFields(drivers []Driver, ch *Channel) []field {
	return append(fieldsOf(channelKeys(drivers, ch.driver), ScopeChannel, ch), fieldsOf(ch.driver.keys(), ScopeChannel, ch.Settings)...)
}

// table reads n into fields, defaults first. path is the table's dotted name for people, and subs
// reads its subtables. other explains a key that is not among fields.
func (r *reader) table(path string, fields []field, n *node, subs map[string]func(e *entry, path string), other func(e *entry, field, name string)) {
	byName := map[string]field{}
	for _, f := range fields {
		byName[f.key.Name] = f
		if f.key.Required && n.keys[f.key.Name] == nil && r.complete {
			r.addFault(n.offset, source.Join(path, f.key.Name), "is missing: it has no default")
		}
		f.setDefault()
	}
	for _, name := range n.names {
		e, path := n.keys[name], source.Join(path, name)
		if sub := subs[name]; sub != nil {
			sub(e, path)
			continue
		}
		f, known := byName[name]
		if !known {
			other(e, path, name)
			continue
		}
		f.key.bind.read(f.target, e.value, func(at *node, format string, args ...any) {
			r.addFault(at.offset, path, format, args...)
		})
	}
}

// scope reads a table whose keys are those of one scope.
func (r *reader) scope(scope Scope, path string, target any, n *node, subs map[string]func(e *entry, path string)) {
	fields := r.fields(scope, target)
	r.table(path, fields, n, subs, func(e *entry, path, name string) { r.addUnknown(e, path, name, fields, subs) })
}

// setDefault sets the key's default.
func (f field) setDefault() {
	if f.key.Default == "" {
		return
	}
	root, _ := tree([]byte("v = "+f.key.Default), func(int, string, string) {})
	f.key.bind.read(f.target, root.keys["v"].value, func(*node, string, ...any) {})
}

// addUnknown reports a key that the table doesn't have: it may belong elsewhere or be misspelt.
func (r *reader) addUnknown(e *entry, path, name string, fields []field, subs map[string]func(*entry, string)) {
	if scope, ok := r.scopeOf(name); ok {
		r.addFault(e.offset, path, "is not a key of this table; it belongs %s", place(scope))
		return
	}
	known := slices.Sorted(maps.Keys(subs))
	for _, f := range fields {
		known = append(known, f.key.Name)
	}
	slices.Sort(known)
	if near := source.DidYouMean(name, known); near != "" {
		r.addFault(e.offset, path, "is not a known key%s", near)
		return
	}
	r.addFault(e.offset, path, "is not a known key; here there are %s", strings.Join(known, ", "))
}

// scopeOf returns the table that has a key or subtable of that name.
func (r *reader) scopeOf(name string) (Scope, bool) {
	if name == "slicing" || name == "channels" {
		return ScopeApplication, true
	}
	for i := range r.keys {
		if r.keys[i].Name == name && name != "name" {
			return r.keys[i].Scope, true
		}
	}
	return ScopeChannel, len(owners(r.drivers, name)) > 0
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

// config reads the whole tree.
func (r *reader) config(root *node) *Config {
	c := &Config{}
	log := newTable(root.offset)
	var inboxes, applications []*node
	r.scope(ScopeTop, "", c, root, map[string]func(*entry, string){
		"log": func(e *entry, path string) { log = r.tableOf(e, path) },
		"nats": func(e *entry, path string) {
			c.NATS = &NATS{}
			r.scope(ScopeNATS, path, c.NATS, r.tableOf(e, path), nil)
		},
		"standby": func(e *entry, path string) {
			c.Standby = &Standby{}
			r.scope(ScopeStandby, path, c.Standby, r.tableOf(e, path), nil)
		},
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
	r.scope(ScopeLog, string(ScopeLog), c, log, nil)
	r.check(c, root, inboxes, applications)
	return c
}

func (r *reader) inbox(n *node, path string) Inbox {
	var in Inbox
	r.scope(ScopeInbox, path, &in, n, nil)
	return in
}

func (r *reader) application(n *node, path string) Application {
	var a Application
	slicing := newTable(n.offset)
	channels := newTable(n.offset)
	r.scope(ScopeApplication, path, &a, n, map[string]func(*entry, string){
		"slicing":  func(e *entry, path string) { slicing = r.tableOf(e, path) },
		"channels": func(e *entry, path string) { channels = r.tableOf(e, path) },
	})
	r.scope(ScopeSlicing, string(ScopeSlicing), &a, slicing, nil)
	r.checkSlicing(&a, slicing)
	r.checkWindows(&a, n)
	for _, name := range channels.names {
		e, path := channels.keys[name], source.Join(path+".channels", name)
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
	ch := Channel{Name: name, driver: r.driver(n)}
	if ch.driver != nil {
		ch.Settings = ch.driver.Settings()
	}
	fields := channelFields(r.drivers, &ch)
	r.table(path, fields, n, nil, func(e *entry, path, name string) {
		switch others := owners(r.drivers, name); {
		case len(others) > 0 && ch.driver == nil:
			// Without a driver, nobody knows whether the key is right.
		case len(others) > 0:
			r.addFault(e.offset, path, "belongs to the driver %s; this channel's driver is %s", orList(others), ch.driver.Name)
		default:
			r.addUnknown(e, path, name, fields, nil)
		}
	})
	r.checkChannel(&ch, n, path)
	return ch
}

// driver returns the driver that the channel names, or nil.
func (r *reader) driver(n *node) *Driver {
	e := n.keys["driver"]
	if e == nil {
		return nil
	}
	name, _ := OneOf(driverNames(r.drivers)...).parse(e.value, func(*node, string, ...any) {})
	i := slices.Index(driverNames(r.drivers), name)
	if i < 0 {
		return nil
	}
	return &r.drivers[i]
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
