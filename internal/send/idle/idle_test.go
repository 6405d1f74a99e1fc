package idle

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closer records the connections that were closed.
type closer struct {
	mu  sync.Mutex // guards all
	all []string
}

func (c *closer) close(conn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, conn)
}

func (c *closer) check(t *testing.T, when string, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := slices.Sorted(slices.Values(c.all)); !slices.Equal(got, want) {
		t.Errorf("%s: got %q closed, want %q", when, got, want)
	}
}

// TestUnusedConnectionsAreClosed: the one that was used last is used again, the others reach the limit.
func TestUnusedConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed closer
		p := &Pool[string]{Limit: 30 * time.Second, Close: closed.close}
		defer p.End()
		if conn, ok := p.Get(); ok {
			t.Errorf("an empty pool gives %q", conn)
		}
		for _, conn := range []string{"a", "b", "c"} {
			p.Put(conn)
		}
		for range 2 { // 40 seconds, in which only c is used
			time.Sleep(20 * time.Second)
			conn, ok := p.Get()
			if conn != "c" || !ok {
				t.Errorf("got %q, %v, want the connection that was used last", conn, ok)
			}
			p.Put(conn)
		}
		synctest.Wait()
		closed.check(t, "after 40s", "a", "b")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		closed.check(t, "30s after its last use", "a", "b", "c")
	})
}

func TestConnectionThatComesBackAfterTheEndIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed closer
		p := &Pool[string]{Limit: time.Minute, Close: closed.close}
		p.Put("kept")
		p.Put("used")
		conn, _ := p.Get()
		p.End()
		closed.check(t, "at the end", "kept")
		p.Put(conn)
		closed.check(t, "after the end", "kept", "used")
		p.sweep() // the timer may fire while it is stopped
		if conn, ok := p.Get(); ok {
			t.Errorf("a pool that ended gives %q", conn)
		}
	})
}
