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

// errOlder is returned for a hub whose store isn't the newest.
var errOlder = errors.New("the log in NATS doesn't continue the store of this machine: another hub has gone on since, or the store was restored; start this one with --standby, which fetches what is missing")

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

	mu      sync.Mutex // guards the fields below
	role    string
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
	self := relay.Holder{ID: p.id, Host: hostName(), Version: o.Version, Since: time.Now().UTC()}
	lease := func(key string) *relay.Lease {
		return conn.NewLease(relay.LeaseOptions{Key: key, Time: o.Config.Standby.Lease, Self: self, Log: o.Log})
	}
	p.lead, p.follow = lease(relay.LeaseLead), lease(relay.LeaseStandby)
	p.log = conn.NewLog(relay.LogOptions{Required: p.required(), Log: o.Log})
	return p, nil
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
		p.giveUp()
	}()
	st, err := p.wait(ctx, leading)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, ErrRefused) {
			p.o.Log.Info("stopped before it led")
			return nil
		}
		return err
	}
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
	if holder := p.lead.Holder(); err != nil && (errors.Is(err, store.ErrDeposed) || errors.Is(err, relay.ErrLeaseLost)) {
		return fmt.Errorf("%s leads now, and this process has handed nothing out since: %w", hostOf(holder), err)
	}
	return err
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
	if what == "follow" {
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

// giveUp releases the leases, so that others needn't wait until they are old.
func (p *place) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.Config.Standby.Lease)
	defer cancel()
	for _, l := range []*relay.Lease{p.follow, p.lead} {
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
	c := p.o.Config
	if !p.o.Quiet {
		group.Go(func() error {
			return control.RunStandby(waiting, control.Options{Socket: control.SocketPath(c.StateDir), Group: c.SocketGroup, Listen: c.Listen, TokenFile: c.TokenFile,
				StateToken: filepath.Join(c.StateDir, tokenName), MetricsToken: c.MetricsToken, TrustedProxies: proxies(c.TrustedProxies), Getenv: p.o.Getenv, Log: p.o.Log}, p)
		})
	}
	group.Go(func() error { p.notify(waiting); return nil })
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

// takeLead waits for the lease of a hub and opens its store.
func (p *place) takeLead(ctx, leading context.Context) (*store.Store, error) {
	err := p.lead.Take(ctx, func(h relay.Holder, renewals int) error {
		p.setProblem(waitsFor("lead", h))
		if renewals > 1 {
			return fmt.Errorf("%w: the hub of cluster %q runs on %s since %s; start this one with --standby", ErrRefused, p.o.Config.NATS.Name, h.Host, h.Since.Format(time.RFC3339))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.keepLead(leading)
	newest, err := p.newest(ctx)
	if err != nil {
		return nil, err
	}
	at, err := p.position()
	if err != nil {
		return nil, err
	}
	if newest.Exists {
		if err := p.compare(at, newest.Position); err != nil {
			return nil, err
		}
	}
	f, err := store.OpenFollower(p.path(), store.Options{})
	if err != nil {
		return nil, err
	}
	st, err := p.takeOver(ctx, leading, f, false)
	if errors.Is(err, store.ErrGap) {
		err = fmt.Errorf("%w: %w: %w", ErrRefused, errOlder, err)
	}
	return st, err
}

// keepLead renews the lease until leading ends.
func (p *place) keepLead(leading context.Context) {
	p.parts.Go(func() {
		if err := p.lead.Keep(leading); err != nil {
			close(p.changed)
		}
	})
}

// newest returns the newest entry of the log. It waits for NATS.
func (p *place) newest(ctx context.Context) (relay.LogInfo, error) {
	for {
		info, err := p.log.Newest(ctx)
		if err == nil || p.conn.Connected() || ctx.Err() != nil {
			return info, err
		}
		if err := p.conn.WaitConnected(ctx); err != nil {
			return info, err
		}
	}
}

// position returns that of the store on this machine, as it is; zero if there is none.
func (p *place) position() (store.Position, error) {
	f, err := store.OpenFollower(p.path(), store.Options{})
	if err != nil {
		return store.Position{}, err
	}
	return f.Position(), f.Close()
}

// compare reports why this machine's store, at at, must not go on after the log's newest position.
func (p *place) compare(at, newest store.Position) error {
	name := p.o.Config.NATS.Name
	switch {
	case at == store.Position{}:
		return fmt.Errorf("%w: this machine has no store of cluster %q, or one from a backup, and the log in NATS is newer; start it with --standby, which fetches everything", ErrRefused, name)
	case at.Tag != newest.Tag:
		return p.otherStore(at, newest)
	case at.Epoch == newest.Epoch:
		return nil // the last run was killed: what is missing here or there is the end of its own
	}
	return fmt.Errorf("%w: %w", ErrRefused, errOlder)
}

func (p *place) otherStore(at, newest store.Position) error {
	return fmt.Errorf("%w: %s is the store %s, but the log of cluster %q in NATS is that of store %s: is nats.name right? If this machine is to have a copy of the other one, move the file away",
		ErrRefused, p.path(), at.Tag, p.o.Config.NATS.Name, newest.Tag)
}

// followUntilLead follows the hub until this process leads.
func (p *place) followUntilLead(ctx, leading context.Context) (*store.Store, error) {
	err := p.follow.Take(ctx, func(h relay.Holder, renewals int) error {
		if renewals == 2 {
			p.o.Log.Warn("there is a standby already; this one waits until it is gone", "host", h.Host)
		}
		p.setProblem(waitsFor("follow", h))
		return nil
	})
	if err != nil {
		return nil, err
	}
	following, end := context.WithCancel(ctx)
	defer end()
	lost := make(chan error, 1)
	go func() { lost <- p.follow.Keep(following) }()
	p.setRole(api.RoleStandby, "")
	p.o.Log.Info("follows", "cluster", p.o.Config.NATS.Name)
	if at, err := p.position(); err != nil {
		return nil, err
	} else if newest, err := p.newest(ctx); err != nil {
		return nil, err
	} else if newest.Exists && at.Tag != "" && at.Tag != newest.Position.Tag {
		return nil, p.otherStore(at, newest.Position)
	}
	f, err := p.followUntilFree(following, lost)
	if err != nil {
		return nil, err
	}
	p.o.Log.Warn("the hub is gone: taking over")
	p.keepLead(leading)
	return p.takeOver(ctx, leading, f, true)
}

// followUntilFree follows until this process holds the lease to lead.
func (p *place) followUntilFree(ctx context.Context, lost <-chan error) (*store.Follower, error) {
	f, err := store.OpenFollower(p.path(), store.Options{})
	if err != nil {
		return nil, err
	}
	following, end := context.WithCancel(ctx)
	defer end()
	group, following := errgroup.WithContext(following)
	group.Go(func() error { p.log.Follow(following, f); return nil })
	group.Go(func() error { p.announce(following); return nil })
	group.Go(func() error {
		select {
		case <-following.Done():
			return nil
		case err := <-lost:
			return fmt.Errorf("%w: another standby has taken this one's place", err)
		}
	})
	group.Go(func() error {
		defer end()
		if err := p.awaitReady(following); err != nil {
			return err
		}
		return p.lead.Take(following, nil)
	})
	if err := group.Wait(); err != nil && !p.lead.Held() {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// incompleteFor times the lease, a copy may be incomplete before this process tries to lead with it
// all the same: then it finds that the log is lost, and holds everything.
const incompleteFor = 3

// awaitReady waits until the copy is complete, or there is a copy that can't be completed.
func (p *place) awaitReady(ctx context.Context) error {
	lease := p.o.Config.Standby.Lease
	ticker := time.NewTicker(lease / 10)
	defer ticker.Stop()
	began := time.Now()
	for {
		s := p.log.Following()
		if s.Complete || s.Position.Epoch > 0 && s.Base == 0 && p.conn.Connected() && time.Since(began) > incompleteFor*lease {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// takeOver reads the log to its end and fences the hub of before, until nothing comes in between.
// Then it opens the store. Until leading ends the store's commits go to the log.
// bases says that the copy may be replaced by one from the log.
func (p *place) takeOver(ctx, leading context.Context, f *store.Follower, bases bool) (*store.Store, error) {
	epoch, checked, err := p.fence(ctx, f, bases)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if !checked {
		p.o.Log.Error("the log in NATS is lost, and this store may lack what was done last: everything is held")
	}
	st, err := openStore(p.path(), checked)
	if err != nil {
		return nil, err
	}
	p.parts.Go(func() {
		if err := p.log.Run(leading, st); err != nil && leading.Err() == nil {
			p.o.Log.Error("the log isn't written any more", "err", err)
		}
	})
	if err := st.Replicate(p.log, epoch); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// fence returns the epoch of this leadership. checked says that the copy has everything.
func (p *place) fence(ctx context.Context, f *store.Follower, bases bool) (epoch uint64, checked bool, err error) {
	for {
		select {
		case <-p.changed:
			return 0, false, relay.ErrLeaseLost
		default:
		}
		sequence, err := p.log.CatchUp(ctx, f, bases)
		lost := errors.Is(err, relay.ErrLogLost)
		if err != nil && !lost {
			return 0, false, err
		}
		at := f.Position()
		epoch, err := p.log.Fence(ctx, sequence, at)
		if !errors.Is(err, relay.ErrLogMoved) {
			return epoch, !lost || at.Epoch == 0, err
		}
	}
}

// announce keeps what others see of this standby current.
func (p *place) announce(ctx context.Context) {
	ticker := time.NewTicker(p.o.Config.Standby.Lease / 3)
	defer ticker.Stop()
	for {
		s := p.log.Following()
		p.follow.Announce(func(h *relay.Holder) {
			h.Behind, h.Lag, h.Ready, h.Problem = s.Behind, lag(s), s.Complete, s.Problem
		})
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lag returns for how many seconds a copy hasn't had everything.
func lag(s relay.FollowState) float64 {
	if s.Behind == 0 || s.At.IsZero() {
		return 0
	}
	return time.Since(s.At).Seconds()
}

// watchStandby keeps what the hub knows of its standby current.
func (p *place) watchStandby(ctx context.Context) {
	ticker := time.NewTicker(p.o.Config.Standby.Lease / 3)
	defer ticker.Stop()
	var last time.Time
	seen := time.Now()
	for {
		asked, cancel := context.WithTimeout(ctx, p.o.Config.Standby.Lease)
		h, renewed, ok, err := p.conn.LeaseHolder(asked, relay.LeaseStandby)
		cancel()
		if !renewed.Equal(last) {
			last, seen = renewed, time.Now()
		}
		if err != nil || !ok || time.Since(seen) > 2*p.o.Config.Standby.Lease {
			h = relay.Holder{}
		}
		p.mu.Lock()
		p.standby = h
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
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
	if p.required() && !p.lead.Held() {
		return "the lease can't be renewed: NATS doesn't answer, or this process was frozen"
	}
	return ""
}

// notify keeps the service manager informed while this process waits to lead. A standby is ready
// when it waits; a hub isn't, but mustn't be taken for one that hangs.
func (p *place) notify(ctx context.Context) {
	limit := watchdogTime(p.o.Getenv)
	every := statusEvery
	if limit > 0 {
		every = min(every, limit/3)
	}
	if p.o.Standby {
		p.o.Notify("READY=1")
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		state := "STATUS=" + p.line()
		if limit > 0 {
			state += "\nWATCHDOG=1"
		}
		if !p.o.Standby {
			state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", (3 * every).Microseconds())
		}
		p.o.Notify(state)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// line describes the role in a line.
func (p *place) line() string {
	r := p.replication()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.problem != "":
		return p.problem
	case r.Problem != "":
		return r.Problem
	case p.role == api.RoleStandby && r.Ready:
		return "follows " + r.Hub + ", ready to take over"
	case p.role == api.RoleStandby:
		return "follows " + r.Hub + ", fetching its store"
	}
	return "waits to lead"
}

var _ control.Standby = (*place)(nil)
