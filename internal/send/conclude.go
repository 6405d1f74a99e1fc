package send

import (
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// expire closes a run: every message without an outcome becomes expired.
func (rs *runs) expire(r *run) {
	if !r.enter() {
		return
	}
	r.close(campaign.Expired)
	rs.tasks.run(func() {
		r.barrier()
		var n uint64
		rs.persist("expire messages", func() (err error) {
			var unknown uint64
			n, unknown, err = rs.store.Finalize(r.id, campaign.Expired)
			n += unknown
			return err
		})
		if n > 0 {
			rs.log.Warn("messages expired before they could be sent", "sending", string(r.id), "messages", n)
		}
		rs.leave(r)
	})
}

// leave ends a task on a run and concludes the run if it was the last one.
func (rs *runs) leave(r *run) {
	if r.leave() {
		rs.conclude(r)
	}
}

// conclude removes a halted run that has nothing in flight any more. Depending on why it was
// halted, it brings the sending to its end. Afterwards the sending may be loaded again.
func (rs *runs) conclude(r *run) {
	rs.tasks.run(func() {
		r.mu.Lock()
		finish, rest, pause := r.finish, r.deferUntil, r.pause
		r.mu.Unlock()
		if o := r.closingAs(); o != campaign.Pending && !rs.stopping.Load() {
			if o == campaign.Canceled {
				rs.persist("cancel a sending", func() error {
					_, _, err := rs.store.SetState(r.id, cancelable, campaign.StateCanceled, reasonCanceled)
					return err
				})
			}
			finish = true
			failpoint.At(failpoint.Finalized)
		}
		balanced := true
		if finish && !rs.stopping.Load() {
			failpoint.At(failpoint.BeforeFinish)
			rs.persist("finish a sending", func() (err error) {
				balanced, err = rs.store.Finish(r.id)
				return err
			})
			failpoint.At(failpoint.Finished)
		}
		if finish && !rs.stopping.Load() || rest.IsZero() {
			rs.changed(r.id) // the last results came after the change that halted it
		}
		rs.mu.Lock()
		delete(rs.byID, r.id)
		switch {
		case finish && !balanced:
			// A resend made messages pending again, or the run was wrong about them:
			// load it again, the first time at once.
			n := rs.loadFailures[r.id]
			rs.loadFailures[r.id] = n + 1
			pause = min(time.Second<<min(n, 10), time.Minute)
			if n == 2 && !rs.orphans.concern(r.id) {
				rs.log.Warn("a sending seems done but some messages have no outcome; loading it again and again", "sending", string(r.id))
			}
		case finish:
			delete(rs.loadFailures, r.id)
			rs.failures.Delete(r.id)
			delete(rs.unprepared, r.id)
		}
		if pause > 0 {
			rs.deferred[r.id] = deferral{mono: time.Now().Add(pause), wait: r.preparing.Load()}
		} else if !rest.IsZero() {
			w := r.wait()
			rs.deferred[r.id] = deferral{wall: rest, wait: w, expiry: r.expiresDuring(w, rs.now())}
		}
		rs.mu.Unlock()
		close(r.concluded)
		rs.Kick()
	})
}

// reload halts a run whose knowledge has proved outdated. It is loaded again after a moment.
func (rs *runs) reload(r *run) {
	r.haltFor(time.Second)
	r.nudge()
}
