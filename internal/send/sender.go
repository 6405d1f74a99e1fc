package send

import (
	"context"
	"slices"
	"time"
)

// maxSleep limits the sleep of a channel sender or the scheduler while something waits for
// a time of day, because the wall clock may have jumped meanwhile.
const maxSleep = time.Second

// channelSender sends the messages of one application's channel. Its only goroutine, loop, picks
// messages, records their attempts, hands them to the workers and collects their results. Results
// are recorded in the same commit as the next attempts while the workers continue. Each part owns
// its state; the fields below the parts belong to loop.
type channelSender struct {
	*appChannel
	updates    *updates        // what other goroutines leave for loop
	limiter    *rateLimiter    // how fast
	breaker    *circuitBreaker // whether at all
	limits     *limits         // how much at a time
	waits      *waits          // why nothing is picked
	picker     *picker         // what is due
	recorder   *recorder       // attempts and results into the store
	attempts   *attemptQueue   // recorded attempts that wait for their time or a token
	gate       *handOverGate   // the last check
	deliverer  *deliverer      // to the driver, and back with results
	configured *driver         // the driver of the last Configure, guarded by Dispatcher.mu

	lingerSince time.Time // since when a small group has waited for more
	idleSince   time.Time // since when nothing was due
	probing     bool      // the next group is the probe of an open breaker
}

func newChannelSender(env *environment, runs *runs, application int64, name string) *channelSender {
	ch := &appChannel{environment: env, application: application, name: name}
	updates, limiter, breaker := newUpdates(), &rateLimiter{}, &circuitBreaker{}
	limits := &limits{appChannel: ch, limiter: limiter}
	answers := &answerMeter{}
	waits := &waits{appChannel: ch, breaker: breaker, limits: limits, answers: answers}
	gate := &handOverGate{appChannel: ch, breaker: breaker}
	health := &channelHealth{appChannel: ch, runs: runs, breaker: breaker, limiter: limiter}
	deliverer := &deliverer{appChannel: ch, gate: gate, limiter: limiter, health: health, answers: answers, updates: updates, limit: &limits.concurrency, pool: newWorkerPool(), handOuts: map[*HandOut]struct{}{}}
	attempts := &attemptQueue{limiter: limiter, out: deliverer}
	picker := &picker{appChannel: ch, runs: runs, limits: limits, breaker: breaker, waits: waits, group: group{environment: ch.environment}}
	recorder := &recorder{appChannel: ch, runs: runs, limiter: limiter, group: &picker.group, attempts: attempts, completed: &deliverer.completed}
	return &channelSender{
		appChannel: ch, updates: updates, limiter: limiter, breaker: breaker, limits: limits, waits: waits,
		picker: picker, recorder: recorder, attempts: attempts, gate: gate, deliverer: deliverer,
	}
}

// loop runs until ctx ends or the channel is removed, and every attempt has a recorded result.
func (cs *channelSender) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer cs.updates.markEnded()
	for !cs.takeUpdates(ctx) {
		wait, ok := cs.step(ctx)
		if !ok {
			<-cs.updates.wake
			continue
		}
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-cs.updates.wake:
		case <-timer.C:
		}
	}
	cs.deliverer.pool.stopIdle()
	cs.recorder.driver.release()
}

// takeUpdates takes what other goroutines left for loop. It returns true when loop must end.
func (cs *channelSender) takeUpdates(ctx context.Context) bool {
	arrived, changed, retired := cs.updates.take()
	if changed != nil {
		cs.picker.pacing = changed.app
		cs.gate.rules.Store(changed.rules)
		if changed.driver != nil {
			cs.recorder.use(changed.driver)
			cs.limits.use(changed.driver)
			cs.limiter.resetCallTime()
		}
	}
	now := cs.now()
	for _, cur := range arrived {
		cs.picker.add(cur, now)
	}
	cs.prune()
	return (ctx.Err() != nil || retired && cs.picker.empty()) && cs.attempts.empty() && cs.recorder.unrecorded.Load() == 0
}

// prune removes the cursors of halted runs.
func (cs *channelSender) prune() {
	if cs.picker.prune() {
		cs.takeBack()
	}
}

// step does everything that can be done now. It returns how long to sleep; not ok means until
// woken.
func (cs *channelSender) step(ctx context.Context) (wait time.Duration, ok bool) {
	sleep := sleeper{}
	mono, now := time.Now(), cs.now()
	n := 0
	cs.limits.followWorkers()
	switch {
	case ctx.Err() != nil:
		cs.attempts.returnAll()
	case len(cs.picker.cursors) == 0:
		cs.attempts.release(mono, now, &sleep)
		cs.idle(mono, &sleep)
	default:
		cs.attempts.release(mono, now, &sleep)
		cs.idleSince = time.Time{}
		if cs.picker.refresh(now, mono) {
			sleep.atMost(maxSleep)
		}
		cs.picker.setUntil(now)
		n = cs.allowance(mono, now, &sleep)
	}
	if cs.shouldCommit(n, mono, &sleep) {
		if !cs.record(ctx, n, now, mono, &sleep) {
			return sleep.result()
		}
		cs.attempts.release(time.Now(), cs.now(), &sleep)
		cs.prune()
		if cs.picker.progressed || n == 0 {
			return 0, true // there may be more at once
		}
	}
	cs.picker.sleepUntilDue(mono, now, &sleep)
	if cs.recorder.unrecorded.Load() > 0 {
		sleep.atMost(maxSleep) // the receiver may be silent
	}
	cs.prune()
	return sleep.result()
}

// record picks up to n messages and records their attempts together with the results that have
// arrived. It returns false if the store fails; then nothing is sent and the commit is tried again
// later.
func (cs *channelSender) record(ctx context.Context, n int, now, mono time.Time, sleep *sleeper) bool {
	cs.gate.enter()
	if n > 0 {
		_, held := cs.attempts.count(cs.now())
		cs.picker.pickAll(n, cs.limits.ahead(held), now)
	}
	err := cs.recorder.commit(ctx)
	cs.gate.leave()
	if err != nil {
		cs.picker.undo()
		sleep.atMost(min(cs.recorder.failed(err, mono), maxSleep))
		return false
	}
	cs.recorder.succeeded()
	if cs.picker.recorded(mono) > 0 && cs.probing {
		cs.breaker.probe()
	}
	return true
}

// takeBack returns the messages of halted runs that wait for their time, a token or a worker. They
// aren't on their way, and the wait may be long.
func (cs *channelSender) takeBack() {
	unwanted := func(b *batch) bool {
		return !slices.ContainsFunc(b.items, func(it item) bool { return !it.cursor.run.isHalted() })
	}
	for _, b := range append(cs.attempts.remove(unwanted), cs.deliverer.pool.remove(unwanted)...) {
		cs.deliverer.giveBack(b)
	}
}

// sleeper finds the shortest of several sleeps.
type sleeper struct {
	d   time.Duration
	set bool
}

func (s *sleeper) atMost(d time.Duration) {
	if !s.set || d < s.d {
		s.d, s.set = d, true
	}
}

func (s *sleeper) result() (time.Duration, bool) { return max(s.d, time.Microsecond), s.set }

// status returns the channel's status. It may be called by any goroutine.
func (cs *channelSender) status(now time.Time) ChannelStatus {
	s := ChannelStatus{Application: cs.application, Name: cs.name, Rate: cs.settings.Load().Rate, Limit: cs.limiter.currentRate(now),
		Sendings: int(cs.picker.count.Load()), InFlight: int(cs.recorder.unrecorded.Load())}
	cs.breaker.status(&s, now)
	if since, silent := cs.deliverer.answers.silent(now); silent && s.State == ChannelOK {
		s.State, s.Reason, s.Since = ChannelTrouble, cs.noAnswer(), since
	}
	remote, ok := cs.settings.Load().Channel.(Remote)
	if !ok {
		return s
	}
	w := remote.Workers() // not what an idle sender saw last
	s.Remote, s.Places = true, w.Places
	if reason := w.Reason(); reason != "" && s.State == ChannelOK {
		s.State, s.Reason, s.WaitsForWorkers = ChannelTrouble, reason, true
		if w.Held {
			s.State, s.Held = ChannelHeld, true
		}
	}
	return s
}
