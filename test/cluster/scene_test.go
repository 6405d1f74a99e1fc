package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a scene has.
const (
	sceneWorkers = 3
	sceneRows    = 600
	sceneDelay   = 100 * time.Millisecond // of the receiver
	maxDoubt     = sceneWorkers * concurrency
)

// fault is an accident that happens while campaigns are sent.
type fault struct {
	name    string
	servers int                      // NATS servers; 0: one
	links   bool                     // hub and workers reach NATS and the receiver through links
	short   bool                     // it is part of the ordinary run
	rows    int                      // of each campaign; 0: sceneRows
	storage func(*testing.T) storage // of the last NATS server; nil: a folder

	strike  func(s *scene) // returns when all is repaired that will be
	unknown int            // messages that may end in doubt where on_unknown is "hold"
}

// storage is a file system that can lose its power.
type storage struct {
	dir          string
	cut, remount func()
}

// scene is a world in which a campaign for each channel is sent and an accident happens.
type scene struct {
	*world
	nodes   []*process // NATS servers
	stores  []string   // their folders
	power   storage
	main    *process // hub
	config  string   // of the hub
	workers []*process
	started int // workers, in all

	hubLink     *link
	workerLinks []*link // between workers and NATS
	hookLinks   []*link // between workers and the receiver
}

// test strikes in as many worlds as there are rounds.
func (f fault) test(t *testing.T) {
	if repeats() == 0 && !f.short {
		return
	}
	for round := range max(repeats(), 1) {
		t.Run(fmt.Sprint(f.name, " ", round), func(t *testing.T) {
			t.Parallel()
			f.once(t, round)
		})
	}
}

func (f fault) once(t *testing.T, round int) {
	s := f.scene(t, rand.New(rand.NewPCG(seedOf(t), uint64(round))))
	rows := f.rows
	if rows == 0 {
		rows = sceneRows
	}
	s.drop("spring", viaRetry, rows)
	s.drop("autumn", viaHold, rows)
	s.arrived(20 + s.random.IntN(rows))
	s.lasts(time.Duration(s.random.IntN(100)) * time.Millisecond)
	f.strike(s)
	s.judge("spring", rows, 0, rows)
	s.judge("autumn", rows, f.unknown, 0)
}

// scene starts NATS, a hub and its workers.
func (f fault) scene(t *testing.T, random *rand.Rand) *scene {
	s := &scene{world: newClustered(t, sceneDelay, max(f.servers, 1))}
	s.random = random
	for n := range s.ports {
		dir := filepath.Join(s.dir, fmt.Sprint("nats", n))
		if f.storage != nil && n == len(s.ports)-1 {
			s.power = f.storage(t)
			dir = s.power.dir
		}
		s.stores = append(s.stores, dir)
		s.nodes = append(s.nodes, s.server(n, dir))
	}
	s.config = s.world.config
	if f.links {
		s.hubLink = newLink(t, "127.0.0.1:"+s.port)
		s.config = s.through("hub", s.hubLink, nil)
	}
	s.main = s.hubWith(s.config)
	for n := range sceneWorkers {
		config := s.world.config
		if f.links {
			s.workerLinks = append(s.workerLinks, newLink(t, "127.0.0.1:"+s.port))
			s.hookLinks = append(s.hookLinks, newLink(t, strings.TrimPrefix(s.hook.URL, "http://")))
			config = s.through(fmt.Sprint("worker", n), s.workerLinks[n], s.hookLinks[n])
		}
		s.begin(config)
	}
	s.workersRun(sceneWorkers)
	return s
}

// through writes a configuration in which NATS and the receiver are reached through links.
func (s *scene) through(name string, nats, hook *link) string {
	s.t.Helper()
	text, err := os.ReadFile(s.world.config)
	s.must(err)
	config := strings.ReplaceAll(string(text), "127.0.0.1:"+s.port, nats.addr)
	if hook != nil {
		config = strings.ReplaceAll(config, s.hook.URL, "http://"+hook.addr)
	}
	path := filepath.Join(s.dir, name+".toml")
	s.write(path, config)
	return path
}

// begin starts a further worker.
func (s *scene) begin(config string) {
	s.t.Helper()
	s.started++
	s.workers = append(s.workers, s.start(fmt.Sprint("worker", s.started), nil, binary, "worker", "--config", config))
}

// some returns n workers.
func (s *scene) some(n int) []*process {
	list := make([]*process, 0, n)
	for _, i := range s.random.Perm(len(s.workers))[:n] {
		list = append(list, s.workers[i])
	}
	return list
}
