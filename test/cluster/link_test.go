package cluster

import (
	"net"
	"sync"
	"testing"

	"campaignd/test/loopback"
)

// link is a TCP proxy on loopback whose connections can be cut or fall silent.
type link struct {
	t      *testing.T
	addr   string
	target string
	all    sync.WaitGroup // its goroutines

	flow sync.RWMutex // write-locked: nothing passes, and nobody is told

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	conns    map[net.Conn]struct{}
}

// newLink starts a proxy to target, an address of loopback.
func newLink(t *testing.T, target string) *link {
	t.Helper()
	l := &link{t: t, addr: loopback.FreeAddress(t), target: target, conns: map[net.Conn]struct{}{}}
	l.open()
	t.Cleanup(func() {
		l.cut()
		l.all.Wait()
	})
	return l
}

// open accepts connections, at the beginning and again after cut.
func (l *link) open() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	l.all.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			l.all.Go(func() { l.pass(from, listener) })
		}
	})
}

// pass carries one connection until one of its ends is closed.
func (l *link) pass(from net.Conn, by net.Listener) {
	defer from.Close()
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer to.Close()
	l.mu.Lock()
	cut := l.listener != by
	l.conns[from], l.conns[to] = struct{}{}, struct{}{}
	l.mu.Unlock()
	if cut {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.copy(to, from) })
	both.Go(func() { l.copy(from, to) })
	both.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, from)
	delete(l.conns, to)
}

func (l *link) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.flow.RLock()
			_, failed := to.Write(buffer[:n])
			l.flow.RUnlock()
			if failed != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut resets all connections and refuses new ones until open.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listener.Close()
	l.listener = nil
	for c := range l.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an orderly end; a connection that is closed needs none
		}
		c.Close()
	}
	clear(l.conns)
}

// hush lets connections be and carries nothing until speak.
func (l *link) hush() { l.flow.Lock() }

func (l *link) speak() { l.flow.Unlock() }
