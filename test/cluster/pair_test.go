package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/test/programs"
)

// site is where the programs of a pair run.
type site struct {
	servers int                      // NATS servers; 0: one
	links   bool                     // hub and standby reach NATS through links of their own
	disk    func(*testing.T) storage // of the hub; nil: a folder
}

// pair is a world with a hub and a standby, which share inboxes and campaigns.
type pair struct {
	*world
	standby  string // its configuration; config is the hub's
	remote   string // that of workers
	nodes    []*process
	host     *process
	second   *process
	failures []string // environment of the hub
	state    string   // its folder
	lost     int      // the NATS server that was killed

	power                  storage // of the hub; zero: its store is in a folder
	hubLinks, standbyLinks []*link
}

// The receiver's paths for what the hub and its workers send, and for what the standby sends itself.
const (
	fromHub     = "/in"
	fromStandby = "/standby"
)

// newPair makes a world whose hub has a standby. from says who sends. Nothing runs but NATS.
func newPair(t *testing.T, delay time.Duration, from string) *pair {
	t.Helper()
	return newPairAt(t, delay, from, site{})
}

// newPairAt is newPair for a site.
func newPairAt(t *testing.T, delay time.Duration, from string, at site) *pair {
	t.Helper()
	p := &pair{world: newClustered(t, delay, max(at.servers, 1))}
	p.edit(`send_from = "workers"`, fmt.Sprintf("send_from = %q", from))
	p.edit("[[inboxes]]", "[standby]\n[[inboxes]]")
	p.standby, p.remote = p.another("standby"), p.another("workers")
	p.change(p.standby, p.hook.URL+fromHub, p.hook.URL+fromStandby)
	p.state = filepath.Join(p.dir, "state")
	if at.disk != nil {
		p.power = at.disk(t)
		p.edit(p.state, p.power.dir)
		p.state = p.power.dir
		p.must(os.MkdirAll(p.state, 0o755))
	}
	for n := range p.ports {
		p.nodes = append(p.nodes, p.server(n, p.natsDir(n)))
	}
	if at.links {
		p.hubLinks, p.standbyLinks = p.linked(p.config), p.linked(p.standby)
	}
	return p
}

func (p *pair) natsDir(n int) string { return filepath.Join(p.dir, fmt.Sprint("nats", n)) }

// linked puts links between the machine with a configuration and NATS.
func (p *pair) linked(config string) (list []*link) {
	p.t.Helper()
	for _, port := range p.ports {
		l := newLink(p.t, "127.0.0.1:"+port)
		p.change(config, "127.0.0.1:"+port, l.addr)
		list = append(list, l)
	}
	return list
}

// another makes the configuration of another machine.
func (p *pair) another(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(p.config)
	p.must(err)
	path, state := filepath.Join(p.dir, name+".toml"), filepath.Join(p.dir, name)
	p.must(os.MkdirAll(state, 0o755))
	p.write(path, strings.Replace(string(text), filepath.Join(p.dir, "state"), state, 1))
	return path
}

// place is what the tests read of a process's status.
type place struct {
	Role        string
	Problem     string
	Replication struct {
		Problem, Hub, Standby string
		Ready                 bool
	}
}

// placeOf returns the place of the process with a configuration; without one the role is "".
func (p *pair) placeOf(config string) place {
	var s struct{ Cluster place }
	cmd := exec.Command(binary, "status", "--json", "--config", config)
	cmd.Dir = p.dir
	out, err := cmd.Output()
	if err != nil || json.Unmarshal(out, &s) != nil {
		return place{}
	}
	return s.Cluster
}

func (p *pair) leads(config string) {
	p.t.Helper()
	p.until(20*time.Second, filepath.Base(config)+" leads", func() bool { return p.placeOf(config).Role == "hub" })
}

// begin starts the hub, then the standby, and waits until it could take over.
func (p *pair) begin() {
	p.t.Helper()
	p.startHub()
	p.leads(p.config)
	p.follow(p.config)
}

func (p *pair) startHub() {
	p.t.Helper()
	p.host = p.start("hub", p.failures, binary, "run", "--config", p.config)
}

// follow starts the standby and waits until it could take over and the hub, if it answers, knows it.
func (p *pair) follow(hub string) {
	p.t.Helper()
	p.second = p.start("standby", nil, binary, "run", "--standby", "--config", p.standby)
	p.follows(hub, p.standby)
}

// follows waits until the standby with a configuration could take over, and the hub knows it.
func (p *pair) follows(hub, standby string) {
	p.t.Helper()
	p.until(30*time.Second, filepath.Base(standby)+" is ready to take over", func() bool {
		at := p.placeOf(standby)
		return at.Role == "standby" && at.Replication.Ready && (hub == "" || p.placeOf(hub).Replication.Ready)
	})
}

// takesOver waits until the standby leads.
func (p *pair) takesOver(limit time.Duration) {
	p.t.Helper()
	p.until(limit, "the standby leads", func() bool { return p.placeOf(p.standby).Role == "hub" })
}

// sendsAgain waits until the standby leads and something arrives, and returns how long that took.
func (p *pair) sendsAgain(limit time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	p.takesOver(limit)
	before, _ := p.hook.count()
	p.until(limit-time.Since(began), "something is sent again", func() bool { n, _ := p.hook.count(); return n > before })
	return time.Since(began)
}

// says waits until a log contains a text.
func (p *pair) says(name, text string) {
	p.t.Helper()
	p.until(20*time.Second, name+".log says "+text, func() bool {
		data, err := os.ReadFile(filepath.Join(p.dir, name+".log"))
		return err == nil && strings.Contains(string(data), text)
	})
}

// ends waits until a process has ended, and returns its exit status.
func (p *pair) ends(what string, one *process) int {
	p.t.Helper()
	p.until(20*time.Second, what+" has ended", func() bool {
		select {
		case <-one.Gone:
			return true
		default:
			return false
		}
	})
	return one.Cmd.ProcessState.ExitCode()
}

// sendingWorkers is how many workers send where "here" doesn't.
const sendingWorkers = 2

// workersFor starts workers if they send.
func (p *pair) workersFor(from string) {
	p.t.Helper()
	if from != "workers" {
		return
	}
	for n := range sendingWorkers {
		p.start(fmt.Sprint("worker", n), nil, binary, "worker", "--config", p.remote)
	}
	p.workersRun(sendingWorkers)
}

// onStandby runs a command on the standby's machine.
func (p *pair) onStandby(args ...string) (string, error) {
	return programs.Run(15*time.Second, p.dir, binary, p.standby, args...)
}

// diagnose checks that doctor reads the whole store of a hub and finds nothing.
func (p *pair) diagnose(config string) {
	p.t.Helper()
	if out, err := programs.Run(time.Minute, p.dir, binary, config, "doctor", "--deep"); err != nil {
		p.t.Errorf("%v\n%s", err, out)
	}
}
