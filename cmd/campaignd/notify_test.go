package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"campaignd/test/natstest"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// serviceManager is the other end of NOTIFY_SOCKET.
type serviceManager struct {
	t      *testing.T
	dir    string
	socket string

	mu    sync.Mutex    // guards the fields below
	said  []string      // datagrams, in order
	grown chan struct{} // closed at the next one
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &serviceManager{t: t, dir: dir, socket: filepath.Join(dir, "notify"), grown: make(chan struct{})}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		for buffer := make([]byte, 4096); ; {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(buffer[:n]))
			close(m.grown)
			m.grown = make(chan struct{})
			m.mu.Unlock()
		}
	}()
	return m
}

// await waits until a datagram after the first from contains text, and returns how many there are up to it.
func (m *serviceManager) await(from int, text string) int {
	m.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		m.mu.Lock()
		said, grown := m.said, m.grown
		m.mu.Unlock()
		for i := from; i < len(said); i++ {
			if strings.Contains(said[i], text) {
				return i + 1
			}
		}
		select {
		case <-grown:
		case <-timeout:
			m.t.Fatalf("it wasn't told %q, but %q", text, said[from:])
		}
	}
}

// start starts campaignd with a watchdog; end ends it and checks its exit status.
func (m *serviceManager) start(watchdog time.Duration, config string, args ...string) (signal func(os.Signal), end func()) {
	m.t.Helper()
	file := filepath.Join(m.dir, "campaignd.toml")
	for path, text := range map[string]string{
		file:                                     fmt.Sprintf(config, m.dir),
		filepath.Join(m.dir, "campaigns/7.json"): `{"id":7,"applicationId":1,"title":"t","enabled":true,"channelTypes":["push"],"messageContent":[{"body":"hi"}]}`,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "inbox"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command("campaignd", append(append([]string{"run"}, args...), "--config", file)...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.socket, fmt.Sprint("WATCHDOG_USEC=", watchdog.Microseconds()), "HOME="+m.dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			m.t.Errorf("campaignd ended with %v:\n%s", err, out.String())
		}
	})
	m.t.Cleanup(end)
	return func(s os.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			m.t.Error(err)
		}
	}, end
}

const notifyConfig = `state_dir = "%[1]s/var"
campaigns_dir = "%[1]s/campaigns"
rescan = "1s"
stop_timeout = "1s"
[[inboxes]]
path = "%[1]s/inbox"
settle = "100ms"
[[applications]]
id = 1
[applications.channels.push]
driver = "outbox"
path = "%[1]s/out.jsonl"
rate = 100
`

func TestTheServiceManagerIsToldWhatARunDoes(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	signal, end := m.start(600*time.Millisecond, notifyConfig)
	n := m.await(0, "READY=1")
	m.await(n, "STATUS=0 scheduled, 0 sending, 0 in flight")
	n = m.await(m.await(n, "WATCHDOG=1"), "WATCHDOG=1")
	signal(syscall.SIGHUP)
	n = m.await(n, "RELOADING=1\nMONOTONIC_USEC=")
	n = m.await(n, "READY=1")
	end()
	m.await(n, "STOPPING=1")
}

// A commit that waits for NATS is no hang, and systemd shows who leads and who follows.
func TestTheServiceManagerEndsAHubThatWaitsForNATS(t *testing.T) {
	t.Parallel()
	options := &natsserver.Options{}
	nats := natstest.Start(t, options)
	config := notifyConfig + fmt.Sprintf("[nats]\nservers = [%q]\nname = \"t\"\nreplicas = 1\n[standby]\nlease = \"1s\"\n", nats.ClientURL())
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const watchdog = 900 * time.Millisecond
	hub, standby := newServiceManager(t), newServiceManager(t)
	_, endHub := hub.start(watchdog, config)
	n := hub.await(hub.await(0, "EXTEND_TIMEOUT_USEC="), "READY=1")
	hub.await(n, "STATUS=leads without a standby, 0 scheduled")
	_, endStandby := standby.start(watchdog, config, "--standby")
	standby.await(standby.await(0, "READY=1"), "STATUS=follows "+host+", ready to take over\nWATCHDOG=1")
	n = hub.await(n, "STATUS=leads, followed by "+host+", 0 scheduled")

	csv := "code\n"
	for i := range 2000 {
		csv += fmt.Sprintf("c%d\n", i)
	}
	for path, text := range map[string]string{"a.csv": csv, "a.layout.json": `{"contact": {"contactCode": "{{code}}", "channelType": "push"}}`,
		"a.schedule.json": `{"applicationId":1,"campaignId":7}`} {
		if err := os.WriteFile(filepath.Join(hub.dir, "inbox", path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n = hub.await(n, "1 sending")
	natstest.Stop(nats)
	n = hub.await(n, "STATUS=leads, not replicated: ")
	for range 5 { // longer than the watchdog waits
		n = hub.await(n, "WATCHDOG=1")
	}
	endStandby()
	standby.await(0, "STOPPING=1")
	natstest.Start(t, options)
	n = hub.await(n, "STATUS=leads without a standby")
	endHub()
	hub.await(n, "STOPPING=1")
}
