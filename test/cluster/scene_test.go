package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
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
	random  *rand.Rand
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

// seedOf returns the seed of the random moments of this run.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(seeds), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("%s=%d", seeds, seed)
	return seed
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
	s.judge("spring", rows, 0, false)
	s.judge("autumn", rows, f.unknown, true)
}

// scene starts NATS, a hub and its workers.
func (f fault) scene(t *testing.T, random *rand.Rand) *scene {
	s := &scene{world: newClustered(t, sceneDelay, max(f.servers, 1)), random: random}
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

// lasts returns after d: an accident lasts so long.
func (s *scene) lasts(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// upTo returns a random time below limit.
func (s *scene) upTo(limit time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(limit)))
}

// some returns n workers.
func (s *scene) some(n int) []*process {
	list := make([]*process, 0, n)
	for _, i := range s.random.Perm(len(s.workers))[:n] {
		list = append(list, s.workers[i])
	}
	return list
}

// judge waits for the end of a campaign. Every message is sent, or in doubt, and arrived accordingly:
// under one key, and where on_unknown is "hold" once.
func (s *scene) judge(name string, rows, unknown int, once bool) {
	s.t.Helper()
	results := s.results(filepath.Join(s.dir, "inbox", "done", name+".2*"), 3*time.Minute)
	if len(results) != rows {
		s.t.Errorf("%s: results.csv has %d messages, want %d", name, len(results), rows)
	}
	counts, seen, missing, twice := map[string]int{}, map[string]bool{}, 0, 0
	for _, line := range results {
		counts[line["outcome"]]++
		if seen[line["contactCode"]] {
			s.t.Errorf("%s: results.csv has %s twice", name, line["contactCode"])
		}
		seen[line["contactCode"]] = true
		at, err := strconv.Atoi(line["line"])
		s.must(err)
		times, keys := s.hook.deliveries(fmt.Sprintf("%s %d", name, at-2))
		if times == 0 && line["outcome"] == "sent" {
			missing++
		}
		if times > 1 {
			twice++
		}
		if keys > 1 {
			s.t.Errorf("%s: the message of line %d arrived under %d keys", name, at, keys)
		}
	}
	s.t.Logf("%s: %v, %d twice", name, counts, twice)
	if counts["sent"]+counts["unknown"] != rows {
		s.t.Errorf("%s: outcomes are %v, want %d sent or unknown", name, counts, rows)
	}
	if missing > 0 {
		s.t.Errorf("%s: %d messages are called sent and have not arrived", name, missing)
	}
	if twice > 0 && once {
		s.t.Errorf("%s: %d messages arrived more than once", name, twice)
	}
	if counts["unknown"] > unknown {
		s.t.Errorf("%s: %d messages are unknown, want at most %d", name, counts["unknown"], unknown)
	}
	if s.t.Failed() {
		s.t.Log(s.logs())
	}
}
