package send

import "sync"

// updates holds what other goroutines leave for a channel sender's loop: new cursors, new settings,
// the end of the channel, and pings. nudge makes the loop look at everything again.
type updates struct {
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	arrived []*sendingCursor
	changed *changedSettings
	retired bool            // the channel is gone from the configuration
	pings   []chan struct{} // closed when loop runs the next time
	ended   bool            // loop has returned
}

// changedSettings are the settings that a reload hands to loop.
type changedSettings struct {
	app    pacing
	rules  *rules
	driver *driver
}

func newUpdates() *updates { return &updates{wake: make(chan struct{}, 1)} }

// nudge makes loop look at everything again.
func (u *updates) nudge() { signal(u.wake) }

// addCursor hands a sending's cursor to the sender.
func (u *updates) addCursor(cur *sendingCursor) {
	u.mu.Lock()
	u.arrived = append(u.arrived, cur)
	u.mu.Unlock()
	u.nudge()
}

// changeSettings replaces the settings from the next group on.
func (u *updates) changeSettings(s changedSettings) {
	u.mu.Lock()
	if before := u.changed; before != nil && before.driver != nil {
		if s.driver == nil {
			s.driver = before.driver
		} else {
			before.driver.release()
		}
	}
	u.changed = &s
	u.mu.Unlock()
	u.nudge()
}

// stopWhenIdle ends the sender once it has nothing left to do.
func (u *updates) stopWhenIdle() {
	u.mu.Lock()
	u.retired = true
	u.mu.Unlock()
	u.nudge()
}

// take returns what has arrived since the last call, and answers the pings.
func (u *updates) take() (arrived []*sendingCursor, changed *changedSettings, retired bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrived, changed = u.arrived, u.changed
	u.arrived, u.changed = nil, nil
	u.answerPings()
	return arrived, changed, u.retired
}

// ping returns a channel that loop closes when it runs the next time, or at once if it has ended.
func (u *updates) ping() chan struct{} {
	answer := make(chan struct{})
	u.mu.Lock()
	if u.ended {
		close(answer)
	} else {
		u.pings = append(u.pings, answer)
	}
	u.mu.Unlock()
	u.nudge()
	return answer
}

// answerPings closes the pings that loop has seen. u.mu is held.
func (u *updates) answerPings() {
	for _, p := range u.pings {
		close(p)
	}
	u.pings = nil
}

// markEnded answers pings after loop has ended.
func (u *updates) markEnded() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	u.answerPings()
}
