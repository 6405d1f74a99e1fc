package config

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaignd/internal/calendar"
)

// check applies the rules that concern more than one key. It runs after all keys were
// read and ignores values that were already refused.
func (r *reader) check(c *Config, root *node, inboxes, applications []*node) {
	r.checkTop(c, root)
	if r.complete && root.keys["inboxes"] == nil && root.keys["nats"] == nil { // a worker needs none
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
		c.Inboxes[i].Location = c.zoneOf(&c.Inboxes[i])
	}
	if c.NATS == nil {
		if c.Standby != nil && r.complete {
			r.addFault(root.keyOffset("standby"), "standby", "needs a table [nats] with the servers")
		}
		r.refuseWorkers(c, applications)
	}
}

// refuseWorkers reports the channels that workers send although there is no way to them.
func (r *reader) refuseWorkers(c *Config, applications []*node) {
	for i, n := range applications {
		for name, ch := range c.Applications[i].Channels {
			if ch.Remote() && r.complete {
				at := n.keys["channels"].value.keys[name].value.keyOffset("send_from")
				r.addFault(at, "applications.channels."+name+".send_from", "found %q, which needs a table [nats] with the servers", FromWorkers)
			}
		}
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
	if in.Campaign != 0 && !in.AllowsCampaign(in.Campaign) {
		r.addFault(n.keyOffset("campaign"), "inboxes.campaign", "campaign %d is not in allow_campaigns", in.Campaign)
	}
	if in.Campaign != 0 && in.Application == 0 && n.keys["application"] == nil {
		r.addFault(n.keyOffset("campaign"), "inboxes.campaign", "needs application too: a campaign's number is unique only within its application")
	}
	r.checkLayout(in, n)
	if e := n.keys["notify_url"]; e != nil && n.keys["notify_secret_file"] == nil {
		r.addFault(e.offset, "inboxes.notify_secret_file", "is missing: notify_url needs it, so that the receiver knows who calls")
	}
	if e := n.keys["notify_secret_file"]; e != nil && n.keys["notify_url"] == nil {
		r.addFault(e.offset, "inboxes.notify_url", "is missing: notify_secret_file needs it")
	}
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
			for _, file := range ch.outputs() {
				if within(absolute(file), path) {
					r.addFault(at, field, "%q holds the file of channel %s (%q), which partners must not reach", clip(in.Path), name, clip(file))
				}
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
	if ch.driver != nil {
		r.checkDriver(ch, n, path)
	}
}
