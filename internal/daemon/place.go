package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/relay"
	"campaignd/internal/service"
	"campaignd/internal/store"
)

// ErrRefused is wrapped by errors of Run that another start wouldn't change: a person must act.
var ErrRefused = errors.New("refused")

// errStandbyNeeds is returned for a standby without the table [standby].
var errStandbyNeeds = errors.New("has no table [standby], or its replication is off: there is nothing to follow")

// Run runs the daemon until ctx ends. Where [standby] has a standby this process leads once it
// holds the lease and its store is the newest, and a standby follows until then. It returns
// ErrRefused for a mistake in the installation, and an error that says why it leads no more.
func Run(ctx context.Context, o Options) error {
	if !o.Config.Replicates() {
		if o.Standby {
			return fmt.Errorf("%w: %s %w", ErrRefused, o.Config.File, errStandbyNeeds)
		}
		d, err := Open(o)
		if err != nil {
			return err
		}
		return d.runWith(ctx, o.Reloads)
	}
	p, err := newPlace(o)
	if err != nil {
		return err
	}
	defer p.conn.Close()
	return p.run(ctx)
}

// place is this process's place in a cluster with a standby.
type place struct {
	o       Options
	conn    *relay.Conn
	log     *relay.Log
	lead    *relay.Lease
	follow  *relay.Lease // of the standby
	id      string       // names this run
	started time.Time
	changed chan struct{}  // closed when the lease to lead is lost
	parts   sync.WaitGroup // of the leadership
	opened  func()         // ends what is needed until the daemon works: hold calls it

	mu      sync.Mutex // guards the fields below
	role    string
	working bool         // the hub has finished what the last run left
	problem string       // why it can't be what it should be
	standby relay.Holder // as the hub last saw it; ID "" for none
	stop    func()       // ends the leadership in order
}

func newPlace(o Options) (*place, error) {
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	if err := tryDrivers(o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Config.StateDir, 0o750); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	kind := "lead"
	if o.Standby {
		kind = "standby"
	}
	conn, err := connectNATS(o.Config, kind, o.Getenv, o.Log)
	if err != nil {
		return nil, err
	}
	p := &place{o: o, conn: conn, id: fmt.Sprintf("%s-%d-%d", hostName(), os.Getpid(), time.Now().UnixNano()),
		started: time.Now(), changed: make(chan struct{}), role: api.RoleWaiting}
	p.lead, p.follow = p.newLease(relay.LeaseLead), p.newLease(relay.LeaseStandby)
	p.log = conn.NewLog(relay.LogOptions{Required: p.required(), Log: o.Log})
	return p, nil
}

// newLease returns a lease that this process doesn't hold yet.
func (p *place) newLease(key string) *relay.Lease {
	return p.conn.NewLease(relay.LeaseOptions{Key: key, Time: p.o.Config.Standby.Lease,
		Self: relay.Holder{ID: p.id, Host: hostName(), Version: p.o.Version, Since: p.started.UTC()}})
}

// tryDrivers reports what would prevent this process from leading: a standby must not find out
// when it is needed.
func tryDrivers(o Options) error {
	open := o.Drivers
	if open == nil {
		open = OpenDrivers
	}
	drivers, err := open(o.Config, o.Getenv)
	_, tokenErr := config.SecretReader(o.Getenv)(o.Config.TokenFile)
	_, partnersErr := readPartnerTokens(o.Config, o.Getenv)
	return errors.Join(tokenErr, partnersErr, err, drivers.close())
}

func (p *place) required() bool {
	return p.o.Config.Standby.Replication == config.ReplicationRequired
}

func (p *place) path() string { return filepath.Join(p.o.Config.StateDir, service.StoreName) }

// run waits until this process leads, and leads until ctx ends or another process does.
func (p *place) run(ctx context.Context) error {
	leading, endLead := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		endLead()
		p.parts.Wait()
		p.release(p.follow, p.lead)
	}()
	opening, opened := context.WithCancel(leading)
	p.opened = opened
	p.closeLog(ctx, opening, p.o.Config.StopTimeout)
	p.parts.Go(func() { p.notify(opening) })
	st, err := p.wait(ctx, leading)
	switch {
	case err == nil:
		err = p.work(ctx, st)
		if ctx.Err() != nil && errors.Is(err, relay.ErrLogClosed) {
			p.o.Log.Warn("stopped while NATS didn't answer; the next start finds out what was under way", "err", err)
			return nil
		}
	case ctx.Err() != nil && !errors.Is(err, ErrRefused):
		p.o.Notify("STOPPING=1")
		p.o.Log.Info("stopped before it led")
		return nil
	}
	return p.deposed(err)
}

// work leads with the store until ctx ends or another process leads.
func (p *place) work(ctx context.Context, st *store.Store) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.mu.Lock()
	p.role, p.problem, p.stop = api.RoleHub, "", stop
	p.mu.Unlock()
	o := p.o
	o.store, o.place = st, p
	d, err := Open(o)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	p.o.Log.Info("leads", "cluster", p.o.Config.NATS.Name, "lease", p.o.Config.Standby.Lease.String(), "replication", p.o.Config.Standby.Replication)
	err = d.runWith(ctx, o.Reloads)
	if err == nil {
		p.flush()
	}
	return err
}

// deposed adds to an error who leads, if it is that another process does.
func (p *place) deposed(err error) error {
	if !errors.Is(err, store.ErrDeposed) && !errors.Is(err, relay.ErrLeaseLost) {
		return err
	}
	holder, since := p.lead.Holder(), ""
	if holder.ID == p.id { // the log knows more than the lease
		holder = relay.Holder{}
	}
	if p.required() {
		since = ", and this process has handed nothing out since"
	}
	return fmt.Errorf("%s leads now%s: %w", hostOf(holder), since, err)
}

// flush waits until the standby can read everything. Where commits wait for the log it has it already.
func (p *place) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Config.Standby.Lease)
	defer cancel()
	if err := p.log.Flush(ctx); err != nil {
		p.o.Log.Warn("the standby may lack what was done last", "err", err)
	}
}

// waitsFor says what a process waits for that wants a lease.
func waitsFor(what string, h relay.Holder) string {
	if h.ID == "" {
		return "waits until it is sure that no other machine wants to " + what
	}
	if what == toFollow {
		return fmt.Sprintf("a standby runs already on %s; this one waits until it is gone", h.Host)
	}
	return fmt.Sprintf("waits until %s has been silent for the time of the lease", h.Host)
}

// hostOf names the host of a lease.
func hostOf(h relay.Holder) string {
	if h.Host == "" {
		return "another machine"
	}
	return h.Host
}

// release gives leases up, so that others needn't wait until they are old.
func (p *place) release(leases ...*relay.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Config.Standby.Lease)
	defer cancel()
	for _, l := range leases {
		if err := l.Release(ctx); err != nil {
			p.o.Log.Warn("cannot give up a lease; it ends by itself", "err", err)
		}
	}
}

// wait serves what a process answers that doesn't lead, until this one does.
func (p *place) wait(ctx, leading context.Context) (st *store.Store, err error) {
	waiting, end := context.WithCancel(ctx)
	defer end()
	group, waiting := errgroup.WithContext(waiting)
	if !p.o.Quiet {
		group.Go(func() error {
			return control.RunStandby(waiting, controlOptions(p.o.Config, p.o.Getenv, p.o.Log), p)
		})
	}
	group.Go(func() (err error) {
		defer end()
		if p.o.Standby {
			st, err = p.followUntilLead(waiting, leading)
		} else {
			st, err = p.takeLead(waiting, leading)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
		return nil, err
	}
	return st, nil
}

// watchStandby keeps what the hub knows of its standby current until ctx ends.
func (p *place) watchStandby(ctx context.Context) {
	p.newLease(relay.LeaseStandby).Watch(ctx, func(h relay.Holder) {
		if h.ID == p.id { // it followed until it led
			h = relay.Holder{}
		}
		p.mu.Lock()
		p.standby = h
		p.mu.Unlock()
	})
}

func (p *place) setRole(role, problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.role, p.problem = role, problem
}

func (p *place) setProblem(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = problem
}

// bars returns why this hub may not hand anything over now. See send.Options.
func (p *place) bars() string {
	select {
	case <-p.changed:
		return "another machine leads"
	default:
	}
	connected := p.conn.Connected()
	switch {
	case p.required() && !connected: // what is handed over now, a takeover would send again
		return "NATS can't be reached, and a standby may take over"
	case connected && !p.lead.Held(): // with best-effort the hub goes on without NATS
		return "the lease can't be renewed: NATS doesn't answer, or this process was frozen"
	}
	return ""
}

// notify keeps the service manager informed until the daemon works. A standby is ready
// when it waits; a hub isn't, but mustn't be taken for one that hangs.
func (p *place) notify(ctx context.Context) {
	limit := watchdogTime(p.o.Getenv)
	interval := statusInterval(limit)
	if p.o.Standby {
		p.o.Notify("READY=1")
	}
	every(ctx, interval, func() (again bool) {
		state := "STATUS=" + p.line()
		if limit > 0 {
			state += "\nWATCHDOG=1"
		}
		if !p.o.Standby {
			state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", (3 * interval).Microseconds())
		}
		p.o.Notify(state)
		return true
	})
}

// line describes the role in a line.
func (p *place) line() string {
	r := p.replication()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.problem != "":
		return p.problem
	case p.working && r.Problem != "":
		return "leads, not replicated: " + r.Problem
	case r.Problem != "":
		return r.Problem
	case p.role == api.RoleStandby && r.Ready:
		return "follows " + r.Hub + ", ready to take over"
	case p.role == api.RoleStandby:
		return "follows " + r.Hub + ", fetching its store"
	case p.working && r.Standby == "":
		return "leads without a standby"
	case p.working && r.Ready:
		return "leads, followed by " + r.Standby
	case p.working:
		return "leads, followed by " + r.Standby + ", which fetches the store"
	case p.role == api.RoleHub:
		return "leads, and finishes what the last run left"
	}
	return "waits to lead"
}

var _ control.Standby = (*place)(nil)
