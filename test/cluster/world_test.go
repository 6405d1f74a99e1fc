package cluster

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/test/loopback"
	"campaignd/test/programs"
)

// concurrency is that of each worker.
const concurrency = 8

// The campaigns, by the on_unknown of their channel.
const (
	viaRetry = "retry"
	viaHold  = "hold"
)

// world is one installation: a NATS server, a hub, workers and a receiver on one machine.
type world struct {
	t      *testing.T
	dir    string
	config string
	port   string   // of NATS
	ports  []string // of its servers; port is the first
	routes []string // ports over which these talk with each other
	hook   *receiver
	random *rand.Rand
}

const configText = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
retry_hold = "1s"
stop_timeout = "5s"
[log]
level = "debug"
format = "json"
[nats]
servers = [%[4]s]
replicas = %[7]d
[[inboxes]]
path = %[3]q
application = 1
settle = "20ms"
sidecar_wait = "10s"
unterminated_wait = "20ms"
[[applications]]
id = 1
timezone = "UTC"
[applications.channels.retry]
driver = "webhook"
url = %[5]q
concurrency = %[6]d
retry_base = "20ms"
send_from = "workers"
answer_wait = "10s"
[applications.channels.hold]
driver = "webhook"
url = %[5]q
concurrency = %[6]d
retry_base = "20ms"
on_unknown = "hold"
send_from = "workers"
answer_wait = "10s"
`

// newWorld makes the folders for a world with one NATS server. delay is the receiver's for each message.
func newWorld(t *testing.T, delay time.Duration) *world { return newClustered(t, delay, 1) }

// newClustered makes the folders for a world with as many NATS servers.
func newClustered(t *testing.T, delay time.Duration, servers int) *world {
	t.Helper()
	w := &world{t: t, dir: programs.ShortDir(t), hook: newReceiver(t, delay), random: rand.New(rand.NewPCG(seedOf(t), 0))}
	var urls []string
	for range servers {
		w.ports, w.routes = append(w.ports, loopback.FreePort(t)), append(w.routes, loopback.FreePort(t))
		urls = append(urls, strconv.Quote("nats://127.0.0.1:"+w.ports[len(w.ports)-1]))
	}
	w.port = w.ports[0]
	w.config = filepath.Join(w.dir, "campaignd.toml")
	for _, name := range []string{"inbox", "state", "campaigns", "nats"} {
		w.must(os.MkdirAll(filepath.Join(w.dir, name), 0o755))
	}
	w.write(w.config, fmt.Sprintf(configText, filepath.Join(w.dir, "state"), filepath.Join(w.dir, "campaigns"), filepath.Join(w.dir, "inbox"),
		strings.Join(urls, ", "), w.hook.URL+"/in", concurrency, servers))
	for i, channel := range []string{viaRetry, viaHold} {
		w.write(filepath.Join(w.dir, "campaigns", channel+".json"), fmt.Sprintf(
			`{"id":%d,"applicationId":1,"title":"t","enabled":true,"channelTypes":[%q],"messageContent":[{"body":"Hello {{name}}"}]}`, 7+i, channel))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path, content string) {
	w.t.Helper()
	w.must(os.WriteFile(path, []byte(content), 0o644))
}

// process is one running program of the installation.
type process struct{ *programs.Process }

// start starts a program; its log is name.log.
func (w *world) start(name string, env []string, argv ...string) *process {
	w.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = w.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir}, env...)
	return &process{programs.Start(w.t, cmd, filepath.Join(w.dir, name+".log"))}
}

// nats starts the first NATS server.
func (w *world) nats() *process {
	w.t.Helper()
	return w.server(0, filepath.Join(w.dir, "nats"))
}

// server starts a NATS server with its store in dir, and waits until it listens.
func (w *world) server(n int, dir string) *process {
	w.t.Helper()
	self, err := os.Executable()
	w.must(err)
	env := []string{asNATS + "=" + w.ports[n], store + "=" + dir}
	if len(w.routes) > 1 {
		env = append(env, peers+"="+strings.Join(slices.Concat(w.routes[n:], w.routes[:n]), ","))
	}
	p := w.start(fmt.Sprint("nats", n), env, self)
	w.until(20*time.Second, "NATS is listening", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+w.ports[n])
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return p
}

func (w *world) hub() *process {
	w.t.Helper()
	return w.hubWith(w.config)
}

// hubWith starts the hub with another configuration.
func (w *world) hubWith(config string) *process {
	w.t.Helper()
	p := w.start("hub", nil, binary, "run", "--config", config)
	w.until(20*time.Second, "the hub answers", func() bool { _, err := w.run("status", "--json"); return err == nil })
	return p
}

func (w *world) worker(n int) *process {
	w.t.Helper()
	return w.start(fmt.Sprint("worker", n), nil, binary, "worker", "--config", w.config)
}

// workersRun waits until n workers are listed.
func (w *world) workersRun(n int) {
	w.t.Helper()
	w.until(20*time.Second, fmt.Sprintf("%d workers run", n), func() bool {
		out, err := w.run("workers", "--json")
		var list []struct{ ID string }
		return err == nil && json.Unmarshal([]byte(out), &list) == nil && len(list) == n
	})
}

func (p *process) signal(s syscall.Signal) { p.Signal(s) }

func (p *process) kill() { p.Kill() }

func (w *world) run(args ...string) (string, error) {
	return programs.Run(15*time.Second, w.dir, binary, w.config, args...)
}

// drop puts a campaign of rows for a channel into the inbox.
func (w *world) drop(name, channel string, rows int) {
	w.t.Helper()
	var table strings.Builder
	table.WriteString("contactCode,name\n")
	for i := range rows {
		fmt.Fprintf(&table, "3460%07d,%s %d\n", i, name, i)
	}
	campaign := map[string]int{viaRetry: 7, viaHold: 8}[channel]
	for _, f := range []struct{ ending, text string }{
		{".csv", table.String()},
		{".layout.json", fmt.Sprintf(`{"contact":{"contactCode":"{{contactCode}}","channelType":%q},"customFields":{"name":"{{name}}"}}`, channel)},
		{".schedule.json", fmt.Sprintf(`{"applicationId":1,"campaignId":%d}`, campaign)},
	} {
		path := filepath.Join(w.dir, "inbox", name+f.ending)
		w.write(path+".part", f.text)
		w.must(os.Rename(path+".part", path))
	}
}

// outcomes waits for the end of a drop and counts the outcomes in its results.csv.
func (w *world) outcomes(name string, limit time.Duration) map[string]int {
	w.t.Helper()
	return w.outcomesIn(filepath.Join(w.dir, "inbox", "done", name+".2*"), limit)
}

// outcomesIn waits for a results.csv in the folder that the pattern names and counts its outcomes.
func (w *world) outcomesIn(folder string, limit time.Duration) map[string]int {
	w.t.Helper()
	n := map[string]int{}
	for _, r := range w.results(folder, limit) {
		n[r["outcome"]]++
	}
	return n
}

// results waits for a results.csv in the folder that the pattern names and returns its lines, by column.
func (w *world) results(folder string, limit time.Duration) []map[string]string {
	w.t.Helper()
	var path string
	w.until(limit, folder+" has results", func() bool {
		found, err := filepath.Glob(filepath.Join(folder, "results.csv"))
		if err != nil || len(found) == 0 {
			return false
		}
		path = found[0]
		return true
	})
	f, err := os.Open(path)
	w.must(err)
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	w.must(err)
	var list []map[string]string
	for _, r := range records[1:] {
		line := map[string]string{}
		for i, title := range records[0] {
			line[title] = r[i]
		}
		list = append(list, line)
	}
	return list
}

// until waits for a fact by polling: a real process has no virtual time.
func (w *world) until(limit time.Duration, what string, fact func() bool) {
	w.t.Helper()
	if !programs.Until(limit, fact) {
		w.t.Fatalf("after %s: not yet: %s\n%s", limit, what, w.logs())
	}
}

// logs returns the last lines of all logs.
func (w *world) logs() string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(w.dir, "*.log"))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		fmt.Fprintf(&all, "--- %s\n%s\n", filepath.Base(file), strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	return all.String()
}

// arrived waits until n messages have arrived.
func (w *world) arrived(n int) {
	w.t.Helper()
	w.until(30*time.Second, fmt.Sprintf("%d messages have arrived", n), func() bool { got, _ := w.hook.count(); return got >= n })
}

// lasts returns after d: an accident lasts so long.
func (w *world) lasts(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// upTo returns a random time below limit.
func (w *world) upTo(limit time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(limit)))
}
