package config

import "slices"

// Scope is the table of a key, as its header is written.
type Scope string

// The scopes, in the order in which they are documented.
const (
	ScopeTop         Scope = ""
	ScopeLog         Scope = "log"
	ScopeInbox       Scope = "inboxes"
	ScopeApplication Scope = "applications"
	ScopeSlicing     Scope = "applications.slicing"
	ScopeChannel     Scope = "applications.channels.NAME"
)

// Key is one key of campaignd.toml. The list that Keys returns is the only one: the
// strict load, the defaults, Show, the documentation and the check of the sample
// file all use it.
type Key struct {
	Scope    Scope
	Name     string
	Kind     string            // "string", "integer", "length", …
	Limits   string            // allowed values, "" for all of the kind
	Default  string            // as TOML, "" for none
	Defaults map[string]string // by driver, where they differ
	Required bool
	Drivers  []string // the drivers that have the key; empty for all
	Meaning  string   // one sentence, without its full stop

	bind binding
}

// Applies reports whether a channel of that driver has the key.
func (k *Key) Applies(driver string) bool {
	return len(k.Drivers) == 0 || slices.Contains(k.Drivers, driver)
}

// DefaultFor returns the key's default, as TOML, for a channel of that driver.
func (k *Key) DefaultFor(driver string) string {
	if d, ok := k.Defaults[driver]; ok {
		return d
	}
	return k.Default
}

// binding ties a key to the field that holds its value. target is a pointer to
// the struct of the key's scope.
type binding interface {
	read(target any, n *node, bad reportFunc)
	show(target any) (toml string, absent bool)
}

type bound[T, V any] struct {
	codec codec[V]
	field func(*T) *V
	empty func(V) bool
}

func (b bound[T, V]) read(target any, n *node, bad reportFunc) {
	if v, ok := b.codec.parse(n, bad); ok {
		*b.field(target.(*T)) = v
	}
}

func (b bound[T, V]) show(target any) (string, bool) {
	v := *b.field(target.(*T))
	return b.codec.format(v), b.empty(v)
}

// key returns a Key for a field that holds a comparable value.
func key[T any, V comparable](scope Scope, name string, c codec[V], field func(*T) *V, meaning string) Key {
	return Key{Scope: scope, Name: name, Kind: c.kind, Limits: c.limits, Meaning: meaning,
		bind: bound[T, V]{c, field, func(v V) bool { var zero V; return v == zero }}}
}

// keyList returns a Key for a field that holds a list.
func keyList[T, V any](scope Scope, name string, c codec[[]V], field func(*T) *[]V, meaning string) Key {
	return Key{Scope: scope, Name: name, Kind: c.kind, Limits: c.limits, Meaning: meaning,
		bind: bound[T, []V]{c, field, func(v []V) bool { return len(v) == 0 }}}
}

func (k Key) or(toml string) Key { k.Default = toml; return k }

func (k Key) orBy(driver, toml string) Key {
	if k.Defaults == nil {
		k.Defaults = map[string]string{}
	}
	k.Defaults[driver] = toml
	return k
}

func (k Key) required() Key { k.Required = true; return k }

func (k Key) of(drivers ...string) Key { k.Drivers = drivers; return k }

// The drivers that a channel may name.
const (
	DriverOutbox   = "outbox"
	DriverWebhook  = "webhook"
	DriverWhatsApp = "whatsapp"
	DriverSMTP     = "smtp"
	DriverNull     = "null" // sends nothing and calls it sent: for measuring
)

// Drivers lists them in the order in which they are documented.
func Drivers() []string {
	return []string{DriverOutbox, DriverWebhook, DriverWhatsApp, DriverSMTP, DriverNull}
}

// Keys returns all keys, scope by scope.
func Keys() []Key {
	return slices.Concat(topKeys(), inboxKeys(), applicationKeys(), channelKeys(), driverKeys())
}
