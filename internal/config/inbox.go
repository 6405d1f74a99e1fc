package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/plan/document"

	"github.com/pelletier/go-toml/v2/unstable"
)

// namePattern checks an inbox's name_pattern.
func namePattern(s string) error {
	_, err := document.ParseNamePattern(s)
	return err
}

// sidecarKeys is the codec of a table of sidecar keys. Its value is the same object as JSON, which
// is read by the rules for sidecars, so that both know the same keys.
func sidecarKeys() Codec[string] {
	return Codec[string]{kind: "table of sidecar keys", parse: parseSidecarKeys, format: formatSidecarKeys}
}

func parseSidecarKeys(n *node, bad reportFunc) (string, bool) {
	if !n.isTable() {
		bad(n, `found %s where a table of sidecar keys is wanted, such as {delay = "PT1H"}`, kindName(n))
		return "", false
	}
	ok := true
	fault := func(key, message string) {
		at := n
		if e := n.keys[key]; e != nil {
			at = &node{offset: e.offset}
		}
		bad(at, "%s", message)
		ok = false
	}
	object := map[string]any{}
	for _, name := range n.names {
		switch name {
		case "rows", "bytes", "sha256":
			fault(name, fmt.Sprintf("%s proves that one upload is complete; it belongs into its sidecar", name))
		case "applicationId", "campaignId":
			fault(name, fmt.Sprintf("write %s = … in the inbox's own table", strings.TrimSuffix(name, "Id")))
		default:
			object[name] = jsonValue(n.keys[name].value)
		}
	}
	data, err := json.Marshal(object)
	if err != nil {
		fault("", err.Error())
		return "", false
	}
	side, problems := document.ParseSidecar("", data)
	for _, p := range problems.List {
		fault(p.Field, p.Message)
	}
	if side != nil && side.ScheduleAt != "" {
		if _, err := calendar.ParseInstant(side.ScheduleAt, time.UTC); err != nil {
			fault("scheduleAt", err.Error())
		}
	}
	if side != nil && side.Delay != "" {
		if _, err := calendar.ParseDuration(side.Delay); err != nil {
			fault("delay", err.Error())
		}
	}
	if len(object) == 0 {
		return "", ok
	}
	return string(data), ok
}

// jsonValue returns a node as json.Marshal takes it. A table or list, which no key has, stays one.
func jsonValue(n *node) any {
	switch n.kind {
	case unstable.Bool:
		return n.text == "true"
	case unstable.Integer, unstable.Float:
		if v, ok := numeric(n); ok {
			return v
		}
	case unstable.Table:
		return map[string]any{}
	case unstable.Array, unstable.ArrayTable:
		return []any{}
	}
	return n.text // dates and times too: scheduleAt may be written without quotes
}

// formatSidecarKeys writes the table for Show.
func formatSidecarKeys(object string) string {
	keys := map[string]any{}
	if object != "" {
		d := json.NewDecoder(bytes.NewReader([]byte(object)))
		d.UseNumber()
		if err := d.Decode(&keys); err != nil {
			return "{}" // impossible: it was marshaled by the load
		}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		value := fmt.Sprint(keys[name])
		if text, ok := keys[name].(string); ok {
			value = quote(text)
		}
		all = append(all, name+" = "+value)
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// checkLayout refuses a default layout that isn't there, or that the inbox would take for a part
// of a drop.
func (r *reader) checkLayout(in *Inbox, n *node) {
	if in.Layout == "" || in.Layout == LayoutColumns {
		return
	}
	const field = "inboxes.layout"
	at := n.keyOffset("layout")
	stat, err := os.Stat(in.Layout)
	switch {
	case err != nil:
		r.addFault(at, field, "%q can't be read: %v (a path is relative to the working directory; \"columns\" needs no file)", clip(in.Layout), withoutPath(err))
	case !stat.Mode().IsRegular():
		r.addFault(at, field, "%q is no file", clip(in.Layout))
	case in.Path != "" && filepath.Dir(absolute(in.Layout)) == absolute(in.Path):
		r.addFault(at, field, "%q is in the inbox itself and would be taken for a part of a drop: keep it elsewhere", clip(in.Layout))
	}
}
