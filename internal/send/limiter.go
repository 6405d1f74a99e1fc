package send

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"campaignd/internal/calendar"
)

// pace is a lane's token bucket: its configured rate, halved while the provider
// throttles and given back step by step. It measures by the monotonic clock.
type rateLimiter struct {
	mu            sync.Mutex // guards what follows
	configured    float64    // as configured; 0: no limit
	bucket        *rate.Limiter
	halvedAt      time.Time // when it was halved last; zero: at full rate
	raisedAt      time.Time
	ceiling       float64       // the rate at which an unlimited lane counts as recovered
	commitTime    time.Duration // how long a commit of attempts takes, smoothed
	maxCommitTime time.Duration // how long it takes at worst, of late
	callTime      time.Duration // how long a call of the driver takes, smoothed; 0: none yet

	counted  int // sent in the second that began at second, for a lane without a rate
	second   time.Time
	measured float64
}

const (
	recoveryInterval = 10 * time.Second // without a throttle, then the rate is raised by recoveryFactor
	recoveryFactor   = 1.25
	minRate          = 0.1
	// throttlePause is for how long answers that were on their way when the rate
	// was halved don't halve it again.
	throttlePause = time.Second
	maxTokenLead  = 100 * time.Millisecond
	minWait       = 100 * time.Microsecond
)

func (p *rateLimiter) configure(full float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket != nil && p.configured == full {
		return
	}
	p.configured, p.halvedAt = full, time.Time{}
	limit := rate.Limit(full)
	if full <= 0 {
		limit = rate.Inf
	}
	if p.bucket == nil {
		p.bucket = rate.NewLimiter(limit, burst(full))
		return
	}
	p.set(time.Now(), limit)
}

// burst is how many messages may go at once: a rate of 1 must not send 2 in a second (PITFALLS 24).
func burst(perSecond float64) int { return max(1, int(perSecond/100)) }

func (p *rateLimiter) set(now time.Time, limit rate.Limit) {
	p.bucket.SetLimitAt(now, limit)
	if limit != rate.Inf {
		p.bucket.SetBurstAt(now, burst(float64(limit)))
	}
}

// ahead is how many messages may be marked now, given that queued wait for
// their tokens already: those whose tokens will be there when a commit is done.
func (p *rateLimiter) available(now time.Time, queued int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recover(now)
	if p.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	// Not more than a bucket: what is marked must be able to go.
	tokens := p.bucket.TokensAt(now.Add(min(2*p.commitTime, maxTokenLead)))
	return int(tokens+1e-6) - queued
}

// allow takes n tokens if they are there.
func (p *rateLimiter) allow(now time.Time, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket.Limit() == rate.Inf {
		if now.Sub(p.second) >= time.Second {
			p.measured, p.counted, p.second = float64(p.counted), 0, now
		}
		p.counted += n
		return true
	}
	return p.bucket.AllowN(now, min(n, p.bucket.Burst()))
}

// wait is how long until n tokens are there.
func (p *rateLimiter) wait(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.bucket.Limit()
	if limit == rate.Inf {
		return 0
	}
	missing := float64(min(n, p.bucket.Burst())) - p.bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing/float64(limit)*float64(time.Second))) + time.Microsecond
}

// waitToMark is how long until ahead allows n messages.
func (p *rateLimiter) waitToMark(now time.Time, n int) time.Duration {
	wait := p.wait(now, n)
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(wait-min(2*p.commitTime, maxTokenLead), minWait)
}

// portion is how many tokens are worth waiting for at once: half a bucket, so
// that a fast lane marks in groups; any number without a limit.
func (p *rateLimiter) groupTokens() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	return max(1, p.bucket.Burst()/2)
}

// syncTime is how long a commit of attempts takes at worst, of late.
func (p *rateLimiter) slowestCommit() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.maxCommitTime
}

// most is how many messages may go at once.
func (p *rateLimiter) burst() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket.Limit() == rate.Inf {
		return math.MaxInt
	}
	return p.bucket.Burst()
}

// committed notes how long a commit took.
func (p *rateLimiter) commitTook(took time.Duration) {
	p.mu.Lock()
	p.commitTime += (took - p.commitTime) / 8
	p.maxCommitTime = max(took, p.maxCommitTime-p.maxCommitTime/16)
	p.mu.Unlock()
}

// answered notes how long a call of the driver took.
func (p *rateLimiter) callTook(took time.Duration) {
	p.mu.Lock()
	if p.callTime == 0 {
		p.callTime = took
	}
	p.callTime += (took - p.callTime) / 64
	p.mu.Unlock()
}

// forgetAnswers has the next answer count alone: it is another driver's.
func (p *rateLimiter) resetCallTime() {
	p.mu.Lock()
	p.callTime = 0
	p.mu.Unlock()
}

// answeredIn is how many calls, concurrency of them at once, are answered in the time of so many commits.
func (p *rateLimiter) callsDuring(commits, concurrency int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.callTime <= 0 {
		return 0
	}
	// A disk that stalls is no reason to mark for minutes ahead.
	lag := min(p.commitTime, maxTokenLead)
	return int(min(float64(commits*concurrency)*float64(lag)/float64(p.callTime), math.MaxInt32))
}

// slow halves the rate: the provider throttles. It returns the rate in force,
// and whether this changed it.
func (p *rateLimiter) halve(now time.Time) (float64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recover(now)
	limit := float64(p.bucket.Limit())
	if !p.halvedAt.IsZero() && now.Sub(p.halvedAt) < throttlePause {
		return limit, false
	}
	if p.bucket.Limit() == rate.Inf {
		limit = max(p.measured, float64(p.counted), 2)
		p.ceiling = 4 * limit
	}
	limit = max(limit/2, minRate)
	p.halvedAt, p.raisedAt = now, now
	p.set(now, rate.Limit(limit))
	return limit, true
}

// recover raises a halved rate by a step for each time that one was due: a channel
// that had nothing to send meanwhile has recovered like any other.
func (p *rateLimiter) recover(now time.Time) {
	for !p.halvedAt.IsZero() && now.Sub(p.raisedAt) >= recoveryInterval {
		p.raisedAt = p.raisedAt.Add(recoveryInterval)
		limit := float64(p.bucket.Limit()) * recoveryFactor
		switch {
		case p.configured > 0 && limit >= p.configured:
			p.halvedAt = time.Time{}
			p.set(now, rate.Limit(p.configured))
		case p.configured <= 0 && limit >= p.ceiling:
			p.halvedAt = time.Time{}
			p.set(now, rate.Inf)
		default:
			p.set(now, rate.Limit(limit))
		}
	}
}

// inForce is the rate that holds now; 0: no limit.
func (p *rateLimiter) currentRate(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recover(now)
	if p.bucket.Limit() == rate.Inf {
		return 0
	}
	return float64(p.bucket.Limit())
}

// door is the application's windows with the last answer kept, so that a
// message costs a comparison.
type sendingWindow struct {
	windows     *calendar.Windows
	from, until time.Time // the answer holds in [from, until)
	isOpen      bool
}

// open reports whether messages may go at now, and if not, when they may.
func (w *sendingWindow) open(now time.Time) (bool, time.Time) {
	if w.windows == nil {
		return true, time.Time{}
	}
	if w.from.IsZero() || now.Before(w.from) || !now.Before(w.until) {
		w.from, w.isOpen = now, w.windows.Open(now)
		if w.isOpen {
			w.until = w.windows.NextClosing(now)
		} else {
			w.until = w.windows.NextOpening(now)
		}
		if w.until.IsZero() {
			w.until = now.Add(24 * time.Hour) // no change within a year: asked again tomorrow
		}
	}
	return w.isOpen, w.until
}
