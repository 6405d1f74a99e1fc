package dashboard

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"campaignd/internal/api"
)

// A page moves by itself so: its script asks for the page's own address as
// text/event-stream, and gets what changed in each region as server-sent events.
// An event is {"region": name, "order": [id …], "changed": {id: html}}: "order" are the
// parts that the region has now, "changed" those that are new or another than
// before. The first event of each region has all, since the page may be old.
//
// A stream ends after streamLength, so that a session that is over doesn't look
// on; browsers ask again by themselves.
const (
	refreshEvery = time.Second
	heartbeat    = 15 * time.Second // something is sent at least so often: dead connections are found
	streamLength = 10 * time.Minute
	maxStreams   = 100
)

type change struct {
	Region  string                   `json:"region"`
	Order   []string                 `json:"order"`
	Changed map[string]template.HTML `json:"changed,omitempty"`
}

// stream sends what changes in a page until the caller goes, the server stops or
// the time is up.
func (d *Dashboard) stream(w http.ResponseWriter, r *http.Request, whole func() (*view, error)) {
	if d.streams.Add(1) > maxStreams {
		d.streams.Add(-1)
		d.fail(w, r, api.Unavailablef("Too many pages are open."))
		return
	}
	defer d.streams.Add(-1)
	v, err := whole()
	if err != nil {
		d.fail(w, r, err)
		return
	}
	// The time to read a request is over long before a stream is.
	out := http.NewResponseController(w)
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		d.fail(w, r, fmt.Errorf("begin stream: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather events
	known := map[string]map[string]template.HTML{}
	orders := map[string][]string{}
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	end := time.After(streamLength)
	var quiet time.Duration
	var last *view
	for {
		sent := false
		for _, one := range v.changedSince(last) {
			event, news := difference(one, known, orders)
			if !news {
				continue
			}
			data, err := json.Marshal(event)
			if err == nil {
				_, err = fmt.Fprintf(w, "data: %s\n\n", data)
			}
			if err != nil {
				return // the caller has gone
			}
			sent = true
		}
		last = v
		if quiet += refreshEvery; quiet >= heartbeat && !sent {
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return
			}
			sent = true
		}
		if sent {
			quiet = 0
			if err := out.Flush(); err != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-d.ending:
			return
		case <-end:
			return
		case <-ticker.C:
		}
		if v, err = whole(); err != nil {
			return // the browser asks again and gets the error as a page
		}
	}
}

// changedSince returns the regions to compare with what was sent: none of a view that was sent already.
func (v *view) changedSince(last *view) []region {
	if v == last {
		return nil
	}
	return v.Regions
}

// difference returns the part of a region that changed since it was last sent.
func difference(now region, known map[string]map[string]template.HTML, orders map[string][]string) (change, bool) {
	before, seen := known[now.Name]
	event := change{Region: now.Name, Order: make([]string, len(now.Parts)), Changed: map[string]template.HTML{}}
	after := make(map[string]template.HTML, len(now.Parts))
	for i, p := range now.Parts {
		event.Order[i], after[p.ID] = p.ID, p.HTML
		if old, ok := before[p.ID]; !ok || old != p.HTML {
			event.Changed[p.ID] = p.HTML
		}
	}
	news := !seen || len(event.Changed) > 0 || !slices.Equal(orders[now.Name], event.Order)
	known[now.Name], orders[now.Name] = after, event.Order
	return event, news
}
