package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/relay"
)

// hold ends when ctx does, or with an error when another process leads. Until late ends it watches
// the standby.
func (p *place) hold(ctx, late context.Context, stopTimeout time.Duration) error {
	go p.watchStandby(late)
	p.closeLog(ctx, late, stopTimeout)
	p.opened()
	p.mu.Lock()
	p.working = true
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil
	case <-p.changed:
		return relay.ErrLeaseLost
	case <-p.log.Deposed():
		return p.log.Err()
	}
}

// closeLog gives up what still waits for NATS stopTimeout after ctx's end, unless until ends before.
func (p *place) closeLog(ctx, until context.Context, stopTimeout time.Duration) {
	context.AfterFunc(ctx, func() {
		select {
		case <-time.After(stopTimeout):
			p.log.Close()
		case <-until.Done():
		}
	})
}

// alive returns nil unless a part of the daemon hangs. A channel that waits for a commit that waits
// for NATS or for the end of a compaction doesn't.
func (d *Daemon) alive(ctx context.Context) error {
	waits := func() bool {
		p := d.opts.place
		return d.store.Compacting() || p != nil && p.required() && !p.log.State().Replicated
	}
	if waits() {
		return nil
	}
	err := d.send.Alive(ctx)
	if waits() { // it began meanwhile
		return nil
	}
	return err
}

// A short silence of NATS lets a change wait; after this time it is refused with the reason.
const silentFor = 2 * time.Second

// unrecorded returns control's Bars: why a commit would wait.
func (d *Daemon) unrecorded() func() string {
	p := d.opts.place
	if p == nil || !p.required() {
		return nil
	}
	return func() string {
		if s := p.log.State(); !s.Replicated && time.Since(s.Since) > silentFor {
			return "every commit waits until NATS has it for the standby: " + s.Problem
		}
		return ""
	}
}

// bars returns the dispatcher's Bars.
func (d *Daemon) bars() func() string {
	if d.opts.place == nil {
		return nil
	}
	return d.opts.place.bars
}

// leads returns the hub's Leads.
func (d *Daemon) leads() func() bool {
	if d.opts.place == nil {
		return nil
	}
	return func() bool { return d.opts.place.bars() == "" }
}

// replication describes what a standby gets, seen from this process.
func (p *place) replication() *api.Replication {
	p.mu.Lock()
	role, standby := p.role, p.standby
	p.mu.Unlock()
	r := &api.Replication{Mode: p.o.Config.Standby.Replication}
	if role == api.RoleHub {
		s := p.log.State()
		r.Hub, r.Problem, r.Commit = hostName(), p.unreplicated(s), s.Commit
		r.Standby, r.Ready, r.Behind, r.Lag = standby.Host, standby.Ready, standby.Behind, standby.Lag
		return r
	}
	r.Hub = p.lead.Holder().Host
	if role == api.RoleStandby {
		s := p.log.Following()
		r.Standby, r.Problem, r.Ready, r.Behind, r.Lag = hostName(), s.Problem, s.Complete, s.Behind, s.Lag().Seconds()
		r.Commit = s.Position.Commit
	}
	return r
}

// unreplicated says why the standby doesn't get what this hub writes and what follows, "" if it does.
func (p *place) unreplicated(s relay.LogState) string {
	switch {
	case s.Problem == "":
		return ""
	case p.required():
		return s.Problem + "; meanwhile nothing is handed out and no drop is accepted"
	}
	return s.Problem + "; meanwhile this hub goes on, and a takeover would lack what it does"
}

// handOver ends the leadership in order if a standby could take over now.
func (p *place) handOver(recorded func() error) (api.Handover, error) {
	p.mu.Lock()
	standby, stop := p.standby, p.stop
	p.mu.Unlock()
	switch {
	case standby.ID == "":
		return api.Handover{}, api.Conflictf("no standby follows this hub: start one with campaignd run --standby")
	case !standby.Ready:
		return api.Handover{}, api.Conflictf("the standby on %s has no complete copy yet%s", standby.Host, because(standby.Problem))
	case p.log.State().Problem != "":
		return api.Handover{}, api.Conflictf("the standby doesn't get what this hub writes: %s", p.log.State().Problem)
	}
	if err := recorded(); err != nil {
		return api.Handover{}, err
	}
	p.o.Log.Info("hands over", "to", standby.Host)
	stop()
	return api.Handover{From: hostName(), To: standby.Host, Lease: p.id}, nil
}

func because(problem string) string {
	if problem == "" {
		return ""
	}
	return ": " + problem
}

// findings are those of doctor.
func (p *place) findings() []api.Finding {
	r := p.replication()
	one := api.Finding{Check: "standby", Level: api.LevelOK, Message: fmt.Sprintf("%s follows and could take over; it is %.1f s behind", r.Standby, r.Lag)}
	switch {
	case r.Problem != "":
		one.Level, one.Message, one.Advice = api.LevelFail, "what is written isn't replicated: "+r.Problem, "this hub repairs it by itself once NATS lets it; if it lasts, look at the log of NATS"
	case r.Standby == "":
		one.Level, one.Message, one.Advice = api.LevelWarn, "no standby follows this hub", "start campaignd run --standby on another machine"
	case !r.Ready:
		one.Level, one.Message, one.Advice = api.LevelWarn, "the standby on "+r.Standby+" has no complete copy yet"+because(p.standbyProblem()), "wait until it has fetched the store, or look at its log"
	}
	return []api.Finding{one}
}

func (p *place) standbyProblem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standby.Problem
}

// Status implements control.Standby.
func (p *place) Status() api.Status {
	p.mu.Lock()
	role, problem := p.role, p.problem
	p.mu.Unlock()
	c := &api.Cluster{Role: role, Server: p.conn.Server(), Problem: problem, Workers: []api.ClusterWorker{}, Replication: p.replication()}
	return api.Status{Version: p.o.Version, PID: os.Getpid(), StartedAt: p.started, Now: time.Now(), ConfigFile: p.o.Config.File,
		Inboxes: []api.Inbox{}, Channels: []api.Channel{}, Cluster: c}
}

// Ready implements control.Standby. A standby is ready when it could take over.
func (p *place) Ready(context.Context) []api.Check {
	s := p.Status().Cluster
	check := api.Check{Name: s.Role, OK: s.Problem == "" && s.Role == api.RoleStandby && s.Replication.Ready && s.Replication.Problem == ""}
	if !check.OK {
		check.Message = p.line()
	}
	nats := api.Check{Name: "nats", OK: s.Server != ""}
	if !nats.OK {
		nats.Message = "no server is connected"
	}
	return []api.Check{nats, check}
}

// Elsewhere implements control.Standby.
func (p *place) Elsewhere() string {
	if hub := p.lead.Holder().Host; hub != "" {
		return fmt.Sprintf("%s; run this on %s", p.line(), hub)
	}
	return p.line()
}

// AwaitLeader waits until another run of a process than old holds the lease to lead, and returns its
// host.
func AwaitLeader(ctx context.Context, c *config.Config, getenv func(string) string, old string) (string, error) {
	conn, err := connectNATS(c, "handover", getenv, nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.WaitConnected(ctx); err != nil {
		return "", err
	}
	var h relay.Holder
	every(ctx, 100*time.Millisecond, func() (again bool) {
		var ok bool
		h, _, ok, err = conn.LeaseHolder(ctx, relay.LeaseLead)
		return err == nil && (!ok || h.ID == old)
	})
	if err == nil && (h.ID == "" || h.ID == old) {
		err = ctx.Err()
	}
	return h.Host, err
}
