package config

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/contact"
)

// check applies the rules that concern more than one key. It runs after all keys were
// read and ignores values that were already refused.
func (r *reader) check(c *Config, root *node, inboxes, applications []*node) {
	r.checkTop(c, root)
	if r.complete && root.keys["inboxes"] == nil {
		r.addFault(root.offset, "inboxes", "is missing: there must be an [[inboxes]] table with the path of a drop folder")
	}
	if r.complete && root.keys["applications"] == nil {
		r.addFault(root.offset, "applications", "is missing: there must be an [[applications]] table with id and channels")
	}
	ids := map[int64]int{}
	for i := range c.Applications {
		id, n := c.Applications[i].ID, applications[i]
		if first, twice := ids[id]; twice && id != 0 {
			r.addFault(n.keyOffset("id"), "applications.id", "found %d again; application number %d of this file has it already", id, first+1)
			continue
		}
		ids[id] = i
	}
	for i := range c.Inboxes {
		r.checkInbox(c, i, inboxes, ids)
	}
}

func (r *reader) checkTop(c *Config, root *node) {
	var err error
	if c.Rescan, err = parseRescan(c.RescanText); err != nil {
		r.addFault(root.keyOffset("rescan"), "rescan", "%v", err)
	}
	if c.Housekeeping, err = calendar.ParseSchedule(c.HousekeepingText, time.Local); err != nil {
		r.addFault(root.keyOffset("housekeeping"), "housekeeping", "%v", err)
	}
	if host, port, err := net.SplitHostPort(c.Listen); err == nil {
		if host == "" { // loopback by default (docs/contract.md 10)
			host = "127.0.0.1"
			c.Listen = net.JoinHostPort(host, port)
		}
		if !isLoopback(host) && root.keys["token_file"] == nil {
			r.addFault(root.keyOffset("listen"), "listen", "reaches beyond this machine: set token_file too, or listen on 127.0.0.1:%s", port)
		}
	}
}

// parseRescan takes "every 10s" for "@every 10s" too; ParseSchedule takes "10s".
func parseRescan(s string) (calendar.Schedule, error) {
	if strings.HasPrefix(s, "every ") {
		if every, err := calendar.ParseSchedule("@"+s, time.Local); err == nil {
			return every, nil
		}
	}
	return calendar.ParseSchedule(s, time.Local)
}

func (r *reader) checkInbox(c *Config, i int, inboxes []*node, ids map[int64]int) {
	in, n := &c.Inboxes[i], inboxes[i]
	known := func(at int, key string, id int64) {
		if _, ok := ids[id]; !ok && id != 0 && r.complete && len(ids) > 0 {
			r.addFault(at, "inboxes."+key, "there is no application %d in this file", id)
		}
	}
	known(n.keyOffset("application"), "application", in.Application)
	if e := n.keys["allow_applications"]; e != nil {
		for k, id := range in.AllowApplications {
			known(e.value.items[k].offset, "allow_applications", id)
		}
	}
	if !in.Allows(in.Application) && in.Application != 0 {
		r.addFault(n.keyOffset("application"), "inboxes.application", "application %d is not in allow_applications", in.Application)
	}
	if in.Campaign != 0 && in.Application == 0 && n.keys["application"] == nil {
		r.addFault(n.keyOffset("campaign"), "inboxes.campaign", "needs application too: a campaign's number is unique only within its application")
	}
	r.checkLayout(in, n)
	if in.Path == "" {
		return
	}
	const field = "inboxes.path"
	at, path := n.keyOffset("path"), absolute(in.Path)
	for k := range c.Inboxes[:i] {
		other := c.Inboxes[k].Path
		switch {
		case other == "":
		case absolute(other) == path:
			r.addFault(at, field, "%q is the path of another inbox already", clip(in.Path))
		case within(path, absolute(other)):
			r.addFault(at, field, "%q is inside the inbox %q: inboxes can't be nested", clip(in.Path), clip(other))
		case within(absolute(other), path):
			r.addFault(at, field, "the inbox %q is inside %q: inboxes can't be nested", clip(other), clip(in.Path))
		}
	}
	// Partners must not be able to read or write the daemon's own folders.
	for _, ours := range []struct{ key, dir string }{{"state_dir", c.StateDir}, {"campaigns_dir", c.CampaignsDir}} {
		if dir := absolute(ours.dir); dir == path || within(dir, path) {
			r.addFault(at, field, "%q holds %s (%q), which partners must not reach", clip(in.Path), ours.key, clip(ours.dir))
		}
	}
	for a := range c.Applications {
		for name, ch := range c.Applications[a].Channels {
			if ch.Path != "" && within(absolute(ch.Path), path) {
				r.addFault(at, field, "%q holds the outbox of channel %s (%q), which partners must not reach", clip(in.Path), name, clip(ch.Path))
			}
		}
	}
}

// absolute returns path in a comparable form. Links are not resolved.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

// within reports whether path is below dir.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (r *reader) checkSlicing(a *Application, n *node) {
	if a.Slicing.Enabled && n.keys["capacity"] == nil {
		r.addFault(n.offset, "applications.slicing.capacity", "is missing: slicing needs the number of messages a slot holds")
	}
}

func (r *reader) checkWindows(a *Application, n *node) {
	if a.Timezone != "" {
		a.Location, _ = time.LoadLocation(a.Timezone) // the key's own check has reported an error
	}
	e := n.keys["windows"]
	if e == nil || len(a.WindowTexts) == 0 {
		return
	}
	loc := a.Location
	if loc == nil {
		zoned := func(text string) bool { return strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") }
		if n.keys["timezone"] == nil && !slices.ContainsFunc(a.WindowTexts, zoned) {
			r.addFault(e.offset, "applications.windows", "needs timezone: the hours of a window are local")
		}
		loc = time.UTC
	}
	good := true
	for i, text := range a.WindowTexts {
		if _, err := calendar.ParseWindows([]string{text}, loc); err != nil {
			r.addFault(e.value.items[i].offset, "applications.windows", "%v", err)
			good = false
		}
	}
	if good {
		var err error
		if a.Windows, err = calendar.ParseWindows(a.WindowTexts, loc); err != nil {
			r.addFault(e.offset, "applications.windows", "%v", err)
		}
	}
}

func (r *reader) checkChannel(ch *Channel, n *node, path string) {
	if ch.RetryMax < ch.RetryBase {
		r.addFault(n.keyOffset("retry_max"), path+".retry_max", "found %q, which is less than retry_base, %q",
			calendar.FormatLength(ch.RetryMax), calendar.FormatLength(ch.RetryBase))
	}
	r.checkContacts(ch, n, path)
	if ch.Driver == DriverWhatsApp {
		for key, other := range map[string]string{"app_secret_file": "verify_token_file", "verify_token_file": "app_secret_file"} {
			if e := n.keys[key]; e != nil && n.keys[other] == nil {
				r.addFault(e.offset, path+"."+other, "is missing: %s needs it", key)
			}
		}
	}
	if ch.Driver != DriverSMTP {
		return
	}
	if e := n.keys["username"]; e != nil && ch.Username != "" && n.keys["password_file"] == nil {
		r.addFault(e.offset, path+".password_file", "is missing: username needs it")
	}
	if e := n.keys["password_file"]; e != nil && n.keys["username"] == nil {
		r.addFault(e.offset, path+".username", "is missing: password_file needs it")
	}
	if ch.Username != "" && ch.TLS == "none" && !isLoopback(ch.Host) {
		r.addFault(n.keyOffset("tls"), path+".tls", "is \"none\" and would send the password in the clear: write \"starttls\" or \"tls\"")
	}
	r.checkDKIM(n, path)
}

// checkContacts refuses contacts that the driver's receiver can't have.
func (r *reader) checkContacts(ch *Channel, n *node, path string) {
	e := n.keys["contacts"]
	switch kind, ok := contact.ParseKind(ch.Contacts); {
	case e == nil || !ok:
	case ch.Driver == DriverWhatsApp && kind != contact.Phone && kind != contact.Digits:
		r.addFault(e.offset, path+".contacts", "found %q; on WhatsApp it is phone or digits", clip(ch.Contacts))
	case ch.Driver == DriverSMTP && kind != contact.Email:
		r.addFault(e.offset, path+".contacts", "found %q; mail goes to email", clip(ch.Contacts))
	}
}

// checkDKIM requires the three keys of a signature to appear together.
func (r *reader) checkDKIM(n *node, path string) {
	var first *entry
	var missing []string
	for _, name := range []string{"dkim_domain", "dkim_selector", "dkim_key_file"} {
		switch e := n.keys[name]; {
		case e == nil:
			missing = append(missing, name)
		case first == nil:
			first = e
		}
	}
	if first == nil {
		return
	}
	for _, name := range missing {
		r.addFault(first.offset, path+"."+name, "is missing: dkim_domain, dkim_selector and dkim_key_file belong together")
	}
}
