package dashboard

import (
	"fmt"
	"net/http"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/display"
)

// channelRow is a channel of an application.
type channelRow struct {
	ID, Name, About string
	State           string
	Held            bool   // it waits for a person
	Reason          string // why the state isn't ok
	Resume          string // command that makes it try immediately
	Since, Next     moment
	Rate            string
	InFlight        string
	Concurrency     string
	Slowed          string // the reduced rate, "" if it isn't reduced
}

// channels renders the page of channels with their states.
func (d *Dashboard) channels(r *http.Request, l viewer) (*view, error) {
	s, err := d.status(r.Context())
	if err != nil {
		return nil, err
	}
	list, err := d.list("channels", "channel", len(s.Channels), func(i int) (string, any) {
		row := channelOf(s.Channels[i], l)
		return row.ID, row
	})
	if err != nil {
		return nil, err
	}
	v := &view{Title: "Channels", Nav: "/channels", Body: "channels", Regions: []region{list}}
	if s.Cluster != nil {
		workers, err := d.workers(s.Cluster, l)
		if err != nil {
			return nil, err
		}
		v.Regions = append(v.Regions, workers)
	}
	return v, nil
}

// workers renders the list of workers.
func (d *Dashboard) workers(c *api.Cluster, l viewer) (region, error) {
	list, err := d.list("workers", "worker", len(c.Workers), func(i int) (string, any) {
		row := workerOf(&c.Workers[i], l)
		return row.ID, row
	})
	if err != nil || len(list.Parts) > 0 {
		return list, err
	}
	p, err := d.part("worker-none", "worker-none", nil)
	list.Parts = append(list.Parts, p)
	return list, err
}

// workerRow is a machine that sends.
type workerRow struct {
	ID, Name, About string
	Stopping        bool
	Since           moment
	Clock           string // how far its clock is off, "" if it isn't
	Channels        []workerChannel
}

type workerChannel struct{ Name, InFlight, Places, Reason string }

// clockIsOff is the difference from which the page mentions a worker's clock.
const clockIsOff = 500 * time.Millisecond

func workerOf(w *api.ClusterWorker, l viewer) workerRow {
	row := workerRow{ID: "worker-" + w.ID, Name: w.ID, About: fmt.Sprintf("%s, version %s", w.Host, w.Version), Stopping: w.Stopping, Since: l.moment(w.Since)}
	if off := time.Duration(w.Offset * float64(time.Second)); off.Abs() >= clockIsOff {
		row.Clock = fmt.Sprintf("%+.1f s", off.Seconds())
	}
	for _, ch := range w.Channels {
		row.Channels = append(row.Channels, workerChannel{Name: fmt.Sprintf("%s of application %d", ch.ChannelType, ch.ApplicationID),
			InFlight: display.Number(ch.InFlight), Places: display.Number(ch.Places), Reason: sentence(ch.Reason)})
	}
	return row
}

func channelOf(ch api.Channel, l viewer) channelRow {
	row := channelRow{
		ID: fmt.Sprintf("channel-%d-%s", ch.ApplicationID, ch.ChannelType), Name: ch.ChannelType,
		About: fmt.Sprintf("application %d, driver %s", ch.ApplicationID, ch.Driver), State: string(ch.State), Held: ch.Held, Reason: sentence(ch.Reason),
		Resume: fmt.Sprintf("campaignd resume --channel %s --application %d", ch.ChannelType, ch.ApplicationID),
		Since:  l.moment(ch.Since), Next: l.moment(ch.NextTryAt), Rate: "no limit", InFlight: display.Number(ch.InFlight), Concurrency: display.Number(ch.Concurrency),
	}
	if ch.Rate > 0 {
		row.Rate = "at most " + rate(ch.Rate)
	}
	if ch.Workers != nil {
		row.Concurrency = display.Number(*ch.Workers)
	}
	if ch.Current > 0 && (ch.Rate == 0 || ch.Current < ch.Rate) {
		row.Slowed = rate(ch.Current)
	}
	return row
}

// inboxRow is a watched folder.
type inboxRow struct {
	ID, Path string
	Problem  string
	Waiting  string
	Checking string
	Others   string
	LastScan moment
	Waits    []wait
}

type wait struct {
	Name, Reason string
	Since        moment
}

// inboxes renders the page of inboxes with the drops that wait in each.
func (d *Dashboard) inboxes(r *http.Request, l viewer) (*view, error) {
	s, err := d.status(r.Context())
	if err != nil {
		return nil, err
	}
	list, err := d.list("inboxes", "inbox", len(s.Inboxes), func(i int) (string, any) {
		in := s.Inboxes[i]
		row := inboxRow{ID: fmt.Sprintf("inbox-%d", i), Path: in.Path, Problem: sentence(in.Problem), Waiting: display.Amount(in.Waiting, "drop"),
			Checking: display.Amount(in.Checking, "drop"), Others: display.Amount(in.Others, "other file"), LastScan: l.moment(in.LastScan)}
		for _, one := range in.Waits {
			row.Waits = append(row.Waits, wait{one.Name, sentence(one.Reason), l.moment(one.Since)})
		}
		return row.ID, row
	})
	if err != nil {
		return nil, err
	}
	return &view{Title: "Inboxes", Nav: "/inboxes", Body: "inboxes", Regions: []region{list}}, nil
}
