package config

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/contact"
	"campaignd/internal/receipts"
	"campaignd/internal/send"
)

// Driver describes a way to send. Everything that other packages know about a driver is here:
// a driver is one package and one line in the list that Load gets.
type Driver struct {
	Name      string          // the value of a channel's key driver
	Meaning   string          // one sentence for people, without its full stop
	Settings  func() Settings // returns new settings, for Keys to fill
	Keys      []Key           // its own keys, made with DriverKey
	Together  [][]string      // groups of its keys of which a channel has all or none
	OnUnknown send.Policy     // the default of on_unknown
	Contacts  []contact.Kind  // the kinds of contacts that it can send to; the first is the default of contacts; nil: all, "any" by default
	UserIDs   bool            // a contact may also be a business-scoped user id
	Silent    bool            // it sends nothing and calls it sent
	Traced    bool            // it reports requests and replies to Environment.Tracer

	// Webhooks returns the handler of /hooks/NAME, at which the provider reports receipts, replies and
	// opt-outs of channels: those whose Settings are a Reporter with an account. It does no I/O but
	// reading secrets. nil: the provider reports nothing.
	Webhooks func(channels []Settings, env WebhookEnvironment) (http.Handler, error)
}

// Settings holds the values of a driver's own keys for one channel. It is a pointer to the
// struct that the keys are bound to.
type Settings interface {
	// Open creates the channel. It does no I/O but reading secrets, and starts nothing. The
	// error says what to fix and holds no secret.
	Open(Environment) (send.Channel, error)
}

// Checker is implemented by Settings with rules that concern more than one key. Check returns
// the error and the key that it is reported at. It is called after all keys were read; a value
// that was refused is the key's default.
type Checker interface {
	Check() (key string, err error)
}

// DailyLimiter is implemented by Settings with a limit of different contacts in any 24 hours.
type DailyLimiter interface {
	// ContactsPerDay returns the limit; 0 is no limit.
	ContactsPerDay() int
}

// Reporter is implemented by Settings of a driver with Webhooks.
type Reporter interface {
	// Reports returns the account whose events belong to the channel, as receipts.Events name it. "": the
	// channel takes none.
	Reports() (account string)
}

// WebhookEnvironment gives the handler of a driver's webhooks access to the process.
type WebhookEnvironment struct {
	Secret   func(ref string) (string, error) // as in Environment
	Receiver receipts.Receiver
	Refused  func(error) // gets the error of every call that was refused, without contact data
}

// Environment gives a driver access to the process.
type Environment struct {
	// Secret returns the secret that a key refers to, "" for an empty reference. It reads it
	// again at every call.
	Secret      func(ref string) (string, error)
	Concurrency int             // messages that are in flight at once
	Tracer      send.WireTracer // nil: nothing is traced
	Contacts    ContactCounters // nil: there is no store
	Records     Records         // nil: there is no store
	Media       MediaFiles      // nil: items can't name files
}

// MediaFiles are the files of campaigns_dir that items name, and the copies of those that sendings
// were accepted with.
type MediaFiles interface {
	// Open opens a file of campaigns_dir and returns its size. The caller closes it. The error says
	// what is wrong without the name.
	Open(name string) (*os.File, int64, error)
	// Hash returns the SHA-256 of an opened file in hex.
	Hash(file *os.File) (string, error)
	// Content opens what a sending was accepted with. The caller closes it.
	Content(campaign.MediaFile) (*os.File, error)
	// Lock serializes the uploads to an account, whose name begins with the driver's.
	Lock(ctx context.Context, account string) (unlock func(), err error)
}

// Records stores small values of drivers durably, by a name that begins with the driver's name and a
// slash. A value of nil removes one; an unknown one is nil.
type Records interface {
	Record(name string) ([]byte, error)
	PutRecord(name string, value []byte) error
}

// ContactCounters returns the store's counter of a name with a limit of most contacts. Counters
// of the same name share one count. Names begin with the driver's name and a slash.
type ContactCounters func(name string, most int) ContactCounter

// ContactCounter counts different contacts in any 24 hours. The count survives a restart.
type ContactCounter interface {
	// Allow reports whether contact may be counted at the instant at. If so, it is counted for 24
	// hours from at; a counted contact is always allowed. If not, next is when another contact is
	// allowed. It is safe for concurrent use; contact is valid during the call only.
	Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error)
	// Counts reports whether contact is counted at the instant at.
	Counts(contact []byte, at time.Time) (bool, error)
}

// keys returns the driver's own keys. A nil driver has none.
func (d *Driver) keys() []Key {
	if d == nil {
		return nil
	}
	return d.Keys
}

// together applies d.Together to settings that were read from n.
func (r *reader) together(d *Driver, s Settings, n *node, path string) {
	for _, group := range d.Together {
		var missing []string
		var first *entry
		for i := range d.Keys {
			k := &d.Keys[i]
			if !slices.Contains(group, k.Name) {
				continue
			}
			e := n.keys[k.Name]
			if _, absent := k.bind.show(s); e == nil || absent && e.value.text == "" && !k.Secret {
				missing = append(missing, k.Name)
			} else if first == nil || e.offset < first.offset {
				first = e
			}
		}
		if first == nil {
			continue
		}
		for _, name := range missing {
			r.addFault(first.offset, path+"."+name, "is missing: %s belong together", andList(group))
		}
	}
}

// checkDriver applies the rules of the driver that concern more than one key.
func (r *reader) checkDriver(ch *Channel, n *node, path string) {
	d := ch.driver
	r.together(d, ch.Settings, n, path)
	if checker, ok := ch.Settings.(Checker); ok {
		if key, err := checker.Check(); err != nil {
			r.addFault(n.keyOffset(key), path+"."+key, "%v", err)
		}
	}
	if kind, ok := contact.ParseKind(ch.Contacts); ok && d.Contacts != nil && !slices.Contains(d.Contacts, kind) {
		var names []string
		for _, k := range d.Contacts {
			names = append(names, k.String())
		}
		r.addFault(n.keyOffset("contacts"), path+".contacts", "found %q; the driver %s sends to %s", clip(ch.Contacts), d.Name, orList(names))
	}
}

// Secret is a key that refers to a secret.
type Secret struct {
	Place string // "", "nats", "inbox PATH" or "channel NAME of application ID"
	Key   string
	Ref   string // for ReadSecret
}

// Name returns the secret's place and key for people.
func (s Secret) Name() string {
	if s.Place == "" {
		return s.Key
	}
	return s.Place + ": " + s.Key
}

// secretsOf returns the references to secrets among fields.
func secretsOf(place string, fields []field) (list []Secret) {
	for _, f := range fields {
		if ref := f.key.bind.text(f.target); f.key.Secret && ref != "" {
			list = append(list, Secret{place, f.key.Name, ref})
		}
	}
	return list
}

// Secrets returns the references to secrets that the channel has, in the order of its keys.
func (c Channel) Secrets() []Secret {
	return secretsOf("", fieldsOf(c.driver.keys(), ScopeChannel, c.Settings))
}

// Secrets returns all references to secrets.
func (c *Config) Secrets() []Secret {
	keys := Keys(c.drivers)
	list := secretsOf("", fieldsOf(keys, ScopeTop, c))
	if c.NATS != nil {
		list = append(list, secretsOf("nats", fieldsOf(keys, ScopeNATS, c.NATS))...)
	}
	for i := range c.Inboxes {
		list = append(list, secretsOf("inbox "+c.Inboxes[i].Path, fieldsOf(keys, ScopeInbox, &c.Inboxes[i]))...)
	}
	for i := range c.Applications {
		a := &c.Applications[i]
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			place := fmt.Sprintf("channel %s of application %d", name, a.ID)
			for _, s := range a.Channels[name].Secrets() {
				list = append(list, Secret{place, s.Key, s.Ref})
			}
		}
	}
	return list
}

// Hidden returns the secrets that the channel's values themselves contain, such as a header's.
// They must not be shown.
func (c Channel) Hidden() []string {
	var list []string
	for i := range c.driver.keys() {
		list = append(list, c.driver.Keys[i].bind.hidden(c.Settings)...)
	}
	return list
}

// outputs returns the paths of the files that the channel writes.
func (c Channel) outputs() []string {
	var paths []string
	for i := range c.driver.keys() {
		if k := &c.driver.Keys[i]; k.Output && k.bind.text(c.Settings) != "" {
			paths = append(paths, k.bind.text(c.Settings))
		}
	}
	return paths
}

// Receipts reports whether the channel's provider reports deliveries.
func (c Channel) Receipts() bool { return c.driver != nil && c.driver.Webhooks != nil }

// Traced reports whether the channel's driver reports requests and replies.
func (c Channel) Traced() bool { return c.driver != nil && c.driver.Traced }

// DailyContacts returns the most different contacts in any 24 hours; 0 is no limit.
func (c Channel) DailyContacts() int {
	if l, ok := c.Settings.(DailyLimiter); ok {
		return l.ContactsPerDay()
	}
	return 0
}

// driverNames returns the names of drivers.
func driverNames(drivers []Driver) []string {
	var names []string
	for i := range drivers {
		names = append(names, drivers[i].Name)
	}
	return names
}

// owners returns the names of the drivers that have the key of that name.
func owners(drivers []Driver, key string) []string {
	var names []string
	for i := range drivers {
		if slices.ContainsFunc(drivers[i].Keys, func(k Key) bool { return k.Name == key }) {
			names = append(names, drivers[i].Name)
		}
	}
	return names
}

// Found returns the error for a value that isn't what is wanted.
func Found(value, wanted string) error {
	return fmt.Errorf("found %q where %s is wanted", clip(value), wanted)
}

func orList(names []string) string  { return wordList(names, "or") }
func andList(names []string) string { return wordList(names, "and") }

func wordList(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + " " + last + " " + names[n]
}
