package config

import (
	"reflect"
	"slices"
)

// Scope is the table of a key, as its header is written.
type Scope string

// The scopes, in the order in which they are documented.
const (
	ScopeTop         Scope = ""
	ScopeLog         Scope = "log"
	ScopeNATS        Scope = "nats"
	ScopeStandby     Scope = "standby"
	ScopeInbox       Scope = "inboxes"
	ScopeApplication Scope = "applications"
	ScopeSlicing     Scope = "applications.slicing"
	ScopeChannel     Scope = "applications.channels.NAME"
)

// Key is one key of campaignd.toml. Keys and the drivers list all of them: the strict load,
// the defaults, Show, the documentation and the check of the sample file all use these lists.
type Key struct {
	Scope    Scope
	Name     string
	Kind     string // "string", "integer", "length", …
	Limits   string // allowed values, "" for all of the kind
	Default  string // as TOML, "" for none
	Required bool
	Meaning  string // one sentence, without its full stop

	Secret bool // the value refers to a secret, for ReadSecret
	Output bool // the value is the path of a file that campaignd writes; partners must not reach it

	bind binding
}

// binding ties a key to the field that holds its value. target is a pointer to
// the struct of the key's table.
type binding interface {
	read(target any, n *node, bad reportFunc)
	show(target any) (toml string, absent bool)
	text(target any) string // of a string; "" otherwise
	hidden(target any) []string
}

type bound[T, V any] struct {
	codec Codec[V]
	field func(*T) *V
}

func (b bound[T, V]) read(target any, n *node, bad reportFunc) {
	if v, ok := b.codec.parse(n, bad); ok {
		*b.field(target.(*T)) = v
	}
}

func (b bound[T, V]) show(target any) (string, bool) {
	v := *b.field(target.(*T))
	return b.codec.format(v), empty(v)
}

func (b bound[T, V]) text(target any) string {
	s, _ := any(*b.field(target.(*T))).(string)
	return s
}

func (b bound[T, V]) hidden(target any) []string {
	if b.codec.hidden == nil {
		return nil
	}
	return b.codec.hidden(*b.field(target.(*T)))
}

func empty(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// key returns a Key for the field of a T.
func key[T, V any](scope Scope, name string, c Codec[V], field func(*T) *V, meaning string) Key {
	return Key{Scope: scope, Name: name, Kind: c.kind, Limits: c.limits, Meaning: meaning,
		Secret: c.secret, Output: c.output, bind: bound[T, V]{c, field}}
}

// DriverKey returns a driver's own key for a field of its settings. meaning is one sentence
// without its full stop.
func DriverKey[S, V any](name string, c Codec[V], field func(*S) *V, meaning string) Key {
	return key(ScopeChannel, name, c, field, meaning)
}

// Or returns k with a default, as TOML.
func (k Key) Or(toml string) Key { k.Default = toml; return k }

// Mandatory returns k as a key that must be set.
func (k Key) Mandatory() Key { k.Required = true; return k }

// Keys returns all keys but the drivers' own, scope by scope. drivers are those that a channel
// may name.
func Keys(drivers []Driver) []Key {
	return slices.Concat(topKeys(), natsKeys(), standbyKeys(), inboxKeys(), applicationKeys(), channelKeys(drivers, nil))
}
