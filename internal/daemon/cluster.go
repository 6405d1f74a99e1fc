package daemon

import (
	"context"
	"fmt"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/relay"
	"campaignd/internal/service"
)

// cluster implements service.Cluster for a hub.
type cluster struct {
	hub     *relay.Hub
	place   *place // nil: no [standby]
	version string
}

// cluster returns the hub for the service, nil without [nats].
func (d *Daemon) cluster() service.Cluster {
	if d.hub == nil {
		return nil
	}
	return cluster{d.hub, d.opts.place, d.opts.Version}
}

// ClusterStatus implements service.Cluster.
func (c cluster) ClusterStatus() *api.Cluster {
	s := c.hub.Status()
	out := &api.Cluster{Role: api.RoleHub, Server: s.Server, Problem: s.Problem, Epoch: s.Epoch, Lag: s.Lag, HandedOut: s.Batches, Workers: []api.ClusterWorker{}}
	for i := range s.Workers {
		out.Workers = append(out.Workers, describeWorker(&s.Workers[i]))
	}
	if c.place != nil {
		out.Replication = c.place.replication()
	}
	return out
}

// Handover implements service.Cluster.
func (c cluster) Handover(recorded func() error) (api.Handover, error) {
	if c.place == nil {
		return api.Handover{}, api.Conflictf("there is no standby: the configuration has no table [standby]")
	}
	return c.place.handOver(recorded)
}

func describeWorker(w *relay.WorkerRecord) api.ClusterWorker {
	one := api.ClusterWorker{ID: w.ID, Host: w.Host, Version: w.Version, Offset: w.Offset.Round(time.Millisecond).Seconds(), Stopping: w.Stopping,
		Since: w.Started, Channels: []api.WorkerChannel{}}
	for _, ch := range w.Channels {
		one.InFlight += ch.InFlight
		if ch.Reason == "" {
			one.Places += ch.Concurrency
		}
		one.Channels = append(one.Channels, api.WorkerChannel{ApplicationID: ch.Application, ChannelType: ch.Name, InFlight: ch.InFlight, Places: ch.Concurrency, Reason: ch.Reason})
	}
	return one
}

// maxOffset limits the clock offset of a worker that doctor accepts. No decision depends on it.
const maxOffset = 2 * time.Second

// ClusterFindings implements service.Cluster.
func (c cluster) ClusterFindings(ctx context.Context) []api.Finding {
	s := c.hub.Status()
	var list []api.Finding
	add := func(level api.Level, message, advice string) {
		list = append(list, api.Finding{Check: "workers", Level: level, Message: message, Advice: advice})
	}
	if s.Server == "" {
		add(api.LevelFail, "no NATS server answers: nothing is handed out to workers", "start the servers of [nats], and check their addresses and the credentials")
		return list
	}
	if s.Problem != "" {
		add(api.LevelFail, "nothing is handed out to workers: "+s.Problem, "look at the log of NATS and of this daemon")
	}
	if c.place != nil {
		list = append(list, c.place.findings()...)
	}
	if !s.Ready && s.Problem == "" { // its streams may not exist yet
		add(api.LevelWarn, "the hub has begun to work with NATS: it makes its streams and reads the answers of workers, and hands nothing out yet", "run doctor again in a few seconds")
		return list
	}
	problems, err := c.hub.CheckStreams(ctx)
	if err != nil {
		add(api.LevelFail, err.Error(), "look at the log of NATS")
	}
	for _, p := range problems {
		add(api.LevelWarn, p, "three servers with replicas = 3, sync_interval: always and a disk each lose nothing; change a stream with the nats command")
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		name := fmt.Sprintf("worker %s on %s", w.ID, w.Host)
		if w.Offset.Abs() > maxOffset {
			add(api.LevelWarn, fmt.Sprintf("the clock of %s differs from that of NATS by %s", name, w.Offset.Round(100*time.Millisecond)), "synchronize the clocks; only times in logs and answers depend on it")
		}
		if w.Version != c.version {
			add(api.LevelWarn, fmt.Sprintf("%s has version %s, the hub %s", name, w.Version, c.version), "finish the upgrade")
		}
		for _, ch := range w.Channels {
			if ch.Reason != "" {
				add(api.LevelWarn, fmt.Sprintf("%s can't send channel %s of application %d: %s", name, ch.Name, ch.Application, ch.Reason), "fix that on the worker and reload it")
			}
		}
	}
	if len(list) == 0 {
		add(api.LevelOK, fmt.Sprintf("NATS is at %s; workers: %d", s.Server, len(s.Workers)), "")
	}
	return list
}
