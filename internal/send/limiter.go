package send

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"campaignd/internal/calendar"
)

// rateLimiter is a channel's token bucket: its configured rate, halved when the receiver
// throttles and raised step by step afterwards. It measures by the monotonic clock.
type rateLimiter struct {
	mu            sync.Mutex // guards the fields below
	configured    float64    // as configured; 0: no limit
	bucket        *rate.Limiter
	claims        *rate.Limiter // paces the claims of workers; nil: none yet
	halvedAt      time.Time     // when the rate was last halved; zero: at full rate
	raisedAt      time.Time
	raiseBy       float64       // factor of each step of the recovery
	ceiling       float64       // rate at which a channel without a rate counts as recovered
	commitTime    time.Duration // time of a commit of attempts, smoothed
	maxCommitTime time.Duration // slowest recent commit of attempts
	callTime      time.Duration // time of a call of the driver, smoothed; 0: none yet

	counted  int // sent in the second that began at second, for a channel without a rate
	second   time.Time
	measured float64
}

const (
	recoveryInterval  = 10 * time.Second // time without a throttle until the rate is raised by a step
	minRecoveryFactor = 1.25
	// maxRecoverySteps lead from any rate to the full one: it recovers within a minute, even from many
	// throttles in a row, each of which halved it.
	maxRecoverySteps = 5
	minRate          = 0.1
	maxTokenLead     = 100 * time.Millisecond
	minWait          = 100 * time.Microsecond
)

func (r *rateLimiter) configure(full float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket != nil && r.configured == full {
		return
	}
	r.configured, r.halvedAt = full, time.Time{}
	limit := rate.Limit(full)
	if full <= 0 {
		limit = rate.Inf
	}
	if r.bucket == nil {
		r.bucket = rate.NewLimiter(limit, burst(full))
		return
	}
	r.set(time.Now(), limit)
}

// burst returns the size of the bucket. It is small, so that a rate of 1 doesn't send 2 messages in a second.
func burst(perSecond float64) int { return max(1, int(perSecond/100)) }

func (r *rateLimiter) set(now time.Time, limit rate.Limit) {
	r.bucket.SetLimitAt(now, limit)
	if limit != rate.Inf {
		r.bucket.SetBurstAt(now, burst(float64(limit)))
	}
}

// available returns how many more attempts may be recorded while queued ones wait for tokens: those whose
// tokens will be there after a commit.
func (r *rateLimiter) available(now time.Time, queued int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recover(now)
	if r.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	// At most a bucket, so that every recorded attempt can go.
	tokens := r.bucket.TokensAt(now.Add(min(2*r.commitTime, maxTokenLead)))
	return int(tokens+1e-6) - queued
}

// allow takes n tokens if they are available.
func (r *rateLimiter) allow(now time.Time, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket.Limit() == rate.Inf {
		if now.Sub(r.second) >= time.Second {
			r.measured, r.counted, r.second = float64(r.counted), 0, now
		}
		r.counted += n
		return true
	}
	return r.bucket.AllowN(now, min(n, r.bucket.Burst()))
}

// claim returns how long a worker's claim of n messages must wait so that the receiver gets no more
// than the rate: batches that were handed out one by one may be claimed together. It returns false if that
// is too long.
func (r *rateLimiter) claim(now time.Time, n int) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit, burst := r.bucket.Limit(), r.bucket.Burst()
	if limit == rate.Inf {
		return 0, true
	}
	if r.claims == nil {
		r.claims = rate.NewLimiter(limit, burst)
	} else if r.claims.Limit() != limit {
		r.claims.SetLimitAt(now, limit)
		r.claims.SetBurstAt(now, burst)
	}
	tokens := r.claims.ReserveN(now, min(n, burst))
	wait := tokens.DelayFrom(now)
	if wait > maxClaimDelay {
		tokens.CancelAt(now)
		return 0, false
	}
	return wait, true
}

// wait returns the time until n tokens are available.
func (r *rateLimiter) wait(now time.Time, n int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.bucket.Limit()
	if limit == rate.Inf {
		return 0
	}
	missing := float64(min(n, r.bucket.Burst())) - r.bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing/float64(limit)*float64(time.Second))) + time.Microsecond
}

// waitToMark returns the time until available allows n messages.
func (r *rateLimiter) waitToMark(now time.Time, n int) time.Duration {
	wait := r.wait(now, n)
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(wait-min(2*r.commitTime, maxTokenLead), minWait)
}

// groupTokens returns how many tokens to wait for at once: half a bucket, so that a fast channel records
// attempts in groups. Without a limit it is any number.
func (r *rateLimiter) groupTokens() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	return max(1, r.bucket.Burst()/2)
}

// slowestCommit returns the time of the slowest recent commit of attempts.
func (r *rateLimiter) slowestCommit() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.maxCommitTime
}

// burst returns how many messages may go at once.
func (r *rateLimiter) burst() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	return r.bucket.Burst()
}

// commitTook records the time of a commit.
func (r *rateLimiter) commitTook(took time.Duration) {
	r.mu.Lock()
	r.commitTime += (took - r.commitTime) / 8
	r.maxCommitTime = max(took, r.maxCommitTime-r.maxCommitTime/16)
	r.mu.Unlock()
}

// callTook records the time of a call of the driver.
func (r *rateLimiter) callTook(took time.Duration) {
	r.mu.Lock()
	if r.callTime == 0 {
		r.callTime = took
	}
	r.callTime += (took - r.callTime) / 64
	r.mu.Unlock()
}

// resetCallTime forgets earlier calls, which another driver made.
func (r *rateLimiter) resetCallTime() {
	r.mu.Lock()
	r.callTime = 0
	r.mu.Unlock()
}

// callsDuring returns how many calls, concurrency at a time, are answered during so many commits.
func (r *rateLimiter) callsDuring(commits, concurrency int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.callTime <= 0 {
		return 0
	}
	// A stalled disk must not make us record minutes ahead.
	lag := min(r.commitTime, maxTokenLead)
	return int(min(float64(commits*concurrency)*float64(lag)/float64(r.callTime), math.MaxInt32))
}

// throttled notes that the receiver throttles, and returns the current rate. fresh says that a throttle
// begins: it halves the rate once, or, without a configured rate, the rate measured just before. The rate
// recovers from until on.
func (r *rateLimiter) throttled(now, until time.Time, fresh bool) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recover(now)
	limit := float64(r.bucket.Limit())
	if fresh {
		if r.bucket.Limit() == rate.Inf {
			limit = max(r.measured, float64(r.counted), 2)
			r.ceiling = 1.5 * limit
		}
		limit = max(limit/2, minRate)
		r.halvedAt = now
		r.set(now, rate.Limit(limit))
		r.raiseBy = max(math.Pow(r.fullRate()/limit, 1.0/maxRecoverySteps), minRecoveryFactor)
	}
	r.raisedAt = until
	return limit
}

// fullRate returns the rate at which a halved one has recovered.
func (r *rateLimiter) fullRate() float64 {
	if r.configured > 0 {
		return r.configured
	}
	return r.ceiling
}

// recover raises a halved rate by all steps that are due, so that an idle channel recovers like a busy
// one.
func (r *rateLimiter) recover(now time.Time) {
	for !r.halvedAt.IsZero() && now.Sub(r.raisedAt) >= recoveryInterval {
		r.raisedAt = r.raisedAt.Add(recoveryInterval)
		limit := rate.Limit(float64(r.bucket.Limit()) * r.raiseBy)
		if full := r.fullRate(); float64(limit) >= full*(1-1e-9) {
			r.halvedAt = time.Time{}
			if limit = rate.Limit(full); r.configured <= 0 {
				limit = rate.Inf
			}
		}
		r.set(now, limit)
	}
}

// currentRate returns the current rate; 0: no limit.
func (r *rateLimiter) currentRate(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recover(now)
	if r.bucket.Limit() == rate.Inf {
		return 0
	}
	return float64(r.bucket.Limit())
}

// sendingWindow is the application's sending windows with the last answer cached, so that a message costs
// a comparison.
type sendingWindow struct {
	windows *calendar.Windows

	mu          sync.Mutex // guards the fields below
	from, until time.Time  // the answer holds in [from, until)
	isOpen      bool
}

// open reports whether messages may go at now, and if not, when they may.
func (w *sendingWindow) open(now time.Time) (bool, time.Time) {
	if w.windows == nil {
		return true, time.Time{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from.IsZero() || now.Before(w.from) || !now.Before(w.until) {
		w.from, w.isOpen = now, w.windows.Open(now)
		if w.isOpen {
			w.until = w.windows.NextClosing(now)
		} else {
			w.until = w.windows.NextOpening(now)
		}
		if w.until.IsZero() {
			w.until = now.Add(24 * time.Hour) // no change within a year: check again tomorrow
		}
	}
	return w.isOpen, w.until
}
