package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
	"campaignd/internal/display"
	"campaignd/internal/relay"
	"campaignd/internal/store"
)

// errOlder is returned for a hub whose store isn't the newest.
var errOlder = errors.New("the log in NATS doesn't continue the store of this machine: another hub has gone on since, or the store was restored; start this one with --standby, which fetches what is missing")

// takeLead waits for the lease of a hub and opens its store.
func (p *place) takeLead(ctx, leading context.Context) (*store.Store, error) {
	err := p.lead.Take(ctx, func(h relay.Holder, renewals int) error {
		p.setProblem(waitsFor(toLead, h))
		if renewals > 1 {
			return fmt.Errorf("%w: the hub of cluster %q has been running on %s since %s; start this one with --standby", ErrRefused, p.o.Config.NATS.Name, h.Host, display.UTC(h.Since))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.keepLead(leading)
	at, err := p.position()
	if err != nil {
		return nil, err
	}
	if err := p.retry(ctx, toLead, func() error {
		newest, err := p.log.Newest(ctx)
		if err != nil {
			return err
		}
		return p.compare(at, newest.Position)
	}); err != nil {
		return nil, err
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

// patience times the lease, what fails is tried again by a process that holds the lease to lead. Then
// it gives the lease up: another machine may do better.
const patience = 10

// What a process tries to do.
const (
	toLead   = "lead"
	toFollow = "follow"
)

// retry calls do until it succeeds or fails with an error that lasts. Who wants to lead waits while its
// lease can't be renewed.
func (p *place) retry(ctx context.Context, what string, do func() error) error {
	lease := p.o.Config.Standby.Lease
	var failing time.Time
	for {
		if what == toLead {
			if err := p.awaitLease(ctx); err != nil {
				return err
			}
		}
		err := do()
		switch {
		case err == nil:
			p.setProblem("")
			return nil
		case lasts(err):
			return err
		case failing.IsZero():
			failing = time.Now()
		case what == toLead && p.lead.Held() && time.Since(failing) > patience*lease:
			return fmt.Errorf("this machine has the lease but can't lead, and gives it up: %w", err)
		}
		if ctx.Err() == nil {
			p.o.Log.Warn("cannot "+what+" yet; trying again", "err", err)
			p.setProblem(err.Error())
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(lease / 10):
		}
	}
}

// awaitLease waits while the lease to lead, which this process has taken, can't be renewed.
func (p *place) awaitLease(ctx context.Context) error {
	var err error
	every(ctx, p.o.Config.Standby.Lease/10, func() (again bool) {
		select {
		case <-p.changed:
			err = relay.ErrLeaseLost
			return false
		default:
			return !p.lead.Held()
		}
	})
	return errors.Join(err, ctx.Err())
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
	case newest == store.Position{}: // a hub was killed before its first base was complete
		return nil
	case at == store.Position{}:
		return fmt.Errorf("%w: this machine has no store of cluster %q, or one from a backup, and the log in NATS is newer; start it with --standby, which fetches everything", ErrRefused, name)
	case at.Tag != newest.Tag:
		return p.otherStore(at, newest)
	case at.Epoch >= newest.Epoch:
		return nil // the last run was killed, or the log has lost its end: fence finds out
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
		p.setProblem(waitsFor(toFollow, h))
		return nil
	})
	if err != nil {
		return nil, err
	}
	following, end := context.WithCancel(ctx)
	defer end()
	lost := make(chan error, 1)
	go func() { lost <- p.follow.Keep(following); close(lost) }()
	p.setRole(api.RoleStandby, "")
	p.o.Log.Info("follows", "cluster", p.o.Config.NATS.Name)
	at, err := p.position()
	if err != nil {
		return nil, err
	}
	if err := p.retry(ctx, toFollow, func() error {
		newest, err := p.log.Newest(ctx)
		if err == nil && newest.Position != (store.Position{}) && at.Tag != "" && at.Tag != newest.Position.Tag {
			err = p.otherStore(at, newest.Position)
		}
		return err
	}); err != nil {
		return nil, err
	}
	f, err := p.followUntilFree(following, lost)
	if err != nil {
		return nil, err
	}
	p.o.Log.Warn("the hub is gone: taking over")
	p.keepLead(leading)
	end()
	for range lost { // until Keep has ended: else it could take the lease again
	}
	p.release(p.follow)
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
	lease, began := p.o.Config.Standby.Lease, time.Now()
	every(ctx, lease/10, func() (again bool) {
		s := p.log.Following()
		hopeless := s.Position.Epoch > 0 && s.Base == 0 && p.conn.Connected() && time.Since(began) > incompleteFor*lease
		return !s.Complete && !hopeless
	})
	return ctx.Err()
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
		p.o.Log.Error("the log in NATS is lost, or nats.name is wrong, and this store may lack what was done last: everything is held", "cluster", p.o.Config.NATS.Name)
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
	err = st.Replicate(p.log, epoch)
	if err == nil && bases && checked {
		err = p.holdOlder(ctx, st)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// holdOlder holds everything if workers have answered for what the copy doesn't know.
func (p *place) holdOlder(ctx context.Context, st *store.Store) error {
	return p.retry(ctx, toLead, func() error {
		key, err := p.conn.HoldOlder(ctx, st)
		if key != "" {
			p.o.Log.Error("the log in NATS was lost together with the hub, and workers have answered for messages that this store calls unsent: everything is held", "message", key)
		}
		return err
	})
}

// fence returns the epoch of this leadership. checked says that the copy has everything.
func (p *place) fence(ctx context.Context, f *store.Follower, bases bool) (epoch uint64, checked bool, err error) {
	err = p.retry(ctx, toLead, func() (err error) {
		for {
			epoch, checked, err = p.tryFence(ctx, f, bases)
			if !errors.Is(err, relay.ErrLogMoved) || !p.lead.Held() {
				return err
			}
		}
	})
	return epoch, checked, err
}

// tryFence is one try of fence.
func (p *place) tryFence(ctx context.Context, f *store.Follower, bases bool) (epoch uint64, checked bool, err error) {
	seen, err := p.log.CatchUp(ctx, f, bases)
	lost := errors.Is(err, relay.ErrLogLost)
	if err != nil && !lost {
		return 0, false, err
	}
	at := f.Position()
	epoch, err = p.log.Fence(ctx, seen, at)
	// With bases a copy without a position may be one that couldn't be opened.
	return epoch, !lost || !bases && at.Epoch == 0, err
}

// lasts reports whether an error of a takeover isn't one of NATS that passes.
func lasts(err error) bool {
	for _, kind := range []error{ErrRefused, store.ErrDeposed, relay.ErrLogClosed, store.ErrGap, store.ErrNewer, store.ErrSetVersion, store.ErrDamaged, store.ErrLocked, store.ErrMoved, store.ErrUnsynced,
		relay.ErrLogVersion, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, kind) {
			return true
		}
	}
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return path || link
}

// announce keeps what others see of this standby current.
func (p *place) announce(ctx context.Context) {
	every(ctx, p.o.Config.Standby.Lease/3, func() (again bool) {
		s := p.log.Following()
		p.follow.Announce(func(h *relay.Holder) {
			h.Behind, h.Lag, h.Ready, h.Problem = s.Behind, s.Lag().Seconds(), s.Complete, s.Problem
		})
		return true
	})
}
