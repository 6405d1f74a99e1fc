package cluster

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// faults are the accidents and what may become of messages (docs/cluster.md, "What happens when").
var faults = []fault{
	{name: "a worker is killed", short: true, strike: killWorkers(1), unknown: concurrency},
	{name: "two workers are killed", strike: killWorkers(2), unknown: 2 * concurrency},
	{name: "all workers are killed", strike: killWorkers(sceneWorkers), unknown: maxDoubt},
	{name: "a worker is frozen", strike: freezeWorkers(1), unknown: concurrency},
	{name: "two workers are frozen", strike: freezeWorkers(2), unknown: 2 * concurrency},
	{name: "all workers are frozen", strike: freezeWorkers(sceneWorkers), unknown: maxDoubt},
	{name: "a worker ends in order", strike: func(s *scene) { s.some(1)[0].signal(syscall.SIGTERM) }},

	{name: "the NATS server is killed", strike: func(s *scene) { s.killServer(0, s.upTo(3*time.Second)) }},
	{name: "each of three NATS servers is killed", servers: 3, rows: 3 * sceneRows, strike: func(s *scene) {
		for _, n := range s.random.Perm(3) {
			s.killServer(n, s.upTo(2*time.Second))
			s.lasts(2*time.Second + s.upTo(time.Second)) // the others have elected leaders
		}
	}},
	{name: "the NATS server's disk is wiped", strike: func(s *scene) { s.wipeServer(0) }, unknown: maxDoubt},
	{name: "the NATS server starts on an older copy of its disk", strike: func(s *scene) {
		s.copyServer()
		s.lasts(s.upTo(time.Second))
		s.nodes[0].kill()
		s.startCopy()
	}, unknown: maxDoubt},
	{name: "the disk of one of three NATS servers is wiped", servers: 3, strike: func(s *scene) { s.wipeServer(s.random.IntN(3)) }},
	{name: "the NATS server is frozen for 8 s", strike: func(s *scene) { s.freeze(8*time.Second, s.nodes[0]) }},
	{name: "the NATS server is frozen for 90 s", strike: func(s *scene) { s.freeze(90*time.Second, s.nodes[0]) }},
	{name: "one of three NATS servers is frozen for 90 s", servers: 3, strike: func(s *scene) { s.freeze(90*time.Second, s.nodes[s.random.IntN(3)]) }},
	{name: "one of three NATS servers is frozen for 8 s", servers: 3, strike: func(s *scene) { s.freeze(8*time.Second, s.nodes[s.random.IntN(3)]) }},

	{name: "the hub is killed again and again", rows: 2 * sceneRows, strike: killHub},
	{name: "the hub is killed once", short: true, strike: func(s *scene) { s.restartHub() }},
	{name: "the hub is frozen", strike: func(s *scene) { s.freeze(12*time.Second, s.main) }},
	{name: "the hub and NATS are killed together", strike: func(s *scene) {
		s.main.signal(syscall.SIGKILL)
		s.killServer(0, s.upTo(time.Second))
		s.restartHub()
	}},
	{name: "the hub is killed and the NATS server starts on an older copy of its disk", strike: func(s *scene) {
		s.copyServer()
		s.lasts(s.upTo(time.Second))
		s.main.signal(syscall.SIGKILL)
		s.nodes[0].kill()
		s.startCopy()
		s.restartHub()
	}, unknown: maxDoubt},

	{name: "the connection between hub and NATS is cut", links: true, strike: cut(func(s *scene) []*link { return []*link{s.hubLink} })},
	{name: "the connection between hub and NATS is silent", links: true, strike: silence(func(s *scene) []*link { return []*link{s.hubLink} })},
	{name: "the connections between workers and NATS are cut", links: true, strike: cut(func(s *scene) []*link { return s.workerLinks }), unknown: maxDoubt},
	{name: "the connection between a worker and NATS is silent", links: true, strike: silence(func(s *scene) []*link { return s.workerLinks[:1] }), unknown: concurrency},
	{name: "the connections between workers and receiver are cut", links: true, strike: cut(func(s *scene) []*link { return s.hookLinks }), unknown: maxDoubt},
	{name: "the connections between workers and receiver are silent", links: true, strike: silence(func(s *scene) []*link { return s.hookLinks }), unknown: maxDoubt},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		f.test(t)
	}
}

// killWorkers kills n workers at once, and starts as many.
func killWorkers(n int) func(*scene) {
	return func(s *scene) {
		list := s.some(n)
		for _, p := range list {
			p.signal(syscall.SIGKILL)
		}
		for range list {
			s.begin(s.world.config)
		}
	}
}

// freezeWorkers freezes n workers at once for 12 s.
func freezeWorkers(n int) func(*scene) {
	return func(s *scene) { s.freeze(12*time.Second, s.some(n)...) }
}

// freeze stops processes for d.
func (s *scene) freeze(d time.Duration, list ...*process) {
	for _, p := range list {
		p.signal(syscall.SIGSTOP)
	}
	s.lasts(d)
	for _, p := range list {
		p.signal(syscall.SIGCONT)
	}
}

// killServer kills a NATS server and starts it again after pause.
func (s *scene) killServer(n int, pause time.Duration) {
	s.nodes[n].kill()
	s.lasts(pause)
	s.nodes[n] = s.server(n, s.stores[n])
}

func (s *scene) wipeServer(n int) {
	s.nodes[n].kill()
	s.must(os.RemoveAll(s.stores[n]))
	s.nodes[n] = s.server(n, s.stores[n])
}

// copyServer copies the store of a single NATS server while it stands still.
func (s *scene) copyServer() {
	s.nodes[0].signal(syscall.SIGSTOP)
	s.must(os.CopyFS(s.stores[0]+".copy", os.DirFS(s.stores[0])))
	s.nodes[0].signal(syscall.SIGCONT)
}

// startCopy starts a single NATS server, which was killed, on the copy.
func (s *scene) startCopy() {
	s.must(os.RemoveAll(s.stores[0]))
	s.must(os.Rename(s.stores[0]+".copy", s.stores[0]))
	s.nodes[0] = s.server(0, s.stores[0])
}

func (s *scene) restartHub() {
	s.main.kill()
	s.main = s.hubWith(s.config)
}

// killHub kills the hub several times, whatever it is doing.
func killHub(s *scene) {
	for range 5 {
		s.main.kill()
		s.main = s.start("hub", nil, binary, "run", "--config", s.config)
		s.lasts(s.upTo(2 * time.Second))
	}
	s.restartHub()
}

// cut resets connections and refuses others for a few seconds.
func cut(which func(*scene) []*link) func(*scene) {
	return func(s *scene) {
		for _, l := range which(s) {
			l.cut()
		}
		s.lasts(time.Second + s.upTo(5*time.Second))
		for _, l := range which(s) {
			l.open()
		}
	}
}

// silence keeps connections open for 12 s without carrying anything.
func silence(which func(*scene) []*link) func(*scene) {
	return func(s *scene) {
		for _, l := range which(s) {
			l.hush()
		}
		s.lasts(12 * time.Second)
		for _, l := range which(s) {
			l.speak()
		}
	}
}
