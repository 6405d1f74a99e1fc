package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// setup is a temporary folder with a configuration.
type setup struct {
	dir    string
	inbox  string
	config string
	under  []string     // command that starts the daemon, such as strace
	domain string       // appended to each contactCode, such as @mail.example
	flags  []string     // of run
	client *http.Client // of the daemon's socket
}

// newSetup writes a configuration whose channel "bulk" has the given lines.
func (b *bench) newSetup(channel string) (*setup, error) {
	dir, err := os.MkdirTemp(b.scratch, "run-")
	if err != nil {
		return nil, err
	}
	s := &setup{dir: dir, inbox: filepath.Join(dir, "inbox"), config: filepath.Join(dir, "campaignd.toml")}
	for _, d := range []string{s.inbox, filepath.Join(dir, "campaigns")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`state_dir = %q
campaigns_dir = %q
rescan = "1s"
[log]
level = "debug"
format = "json"
[[inboxes]]
path = %q
settle = "50ms"
require_sidecar = true
[[applications]]
id = 1
name = "bench"
country = "ES"
max_rows = 20000000
[applications.channels.bulk]
%s
`, filepath.Join(dir, "var"), filepath.Join(dir, "campaigns"), s.inbox, channel)
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return s, s.campaign(`{"body": "Hello {{name}}, your ticket {{ticketId}} has been answered. Age on record: {{age}}."}`)
}

// campaign writes the campaign file with one item.
func (s *setup) campaign(item string) error {
	text := fmt.Sprintf(`{"id": 1, "applicationId": 1, "channelTypes": ["bulk"], "messageContent": [%s]}`, item)
	return os.WriteFile(filepath.Join(s.dir, "campaigns", "1.json"), []byte(text), 0o644)
}

const layout = `{"contact": {"contactCode": "{{contactCode}}", "channelType": "bulk"},
"customFields": {"name": "{{name}}", "ticketId": "{{ticket_id}}", "age": "{{edad}}"}}`

// writeCSV writes a CSV of n rows in the shape of the project's reference measurements.
func writeCSV(path string, n, from int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "contactCode,channelType,name,ticket_id,edad")
	names := []string{"John", "Jane", "Alice", "Maximilian", "Bo", "Núria"}
	line := make([]byte, 0, 64)
	for i := range n {
		line = append(line[:0], "34"...)
		line = strconv.AppendInt(line, int64(600_000_000+from+i), 10)
		line = append(line, ",cloud_api,"...)
		line = append(line, names[i%len(names)]...)
		line = append(line, ',')
		line = strconv.AppendInt(line, int64(1000+i*7919%900000), 10)
		line = append(line, ',')
		line = strconv.AppendInt(line, int64(18+i%70), 10)
		line = append(line, '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// drop puts a drop of n rows into the inbox, with the sidecar last.
func (s *setup) drop(name string, n, from int, sidecar string) error {
	base := filepath.Join(s.inbox, name)
	if err := writeCSV(base+".csv", n, from); err != nil {
		return err
	}
	if err := os.WriteFile(base+".layout.json", []byte(strings.Replace(layout, "{{contactCode}}", "{{contactCode}}"+s.domain, 1)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".schedule.json", []byte(sidecar), 0o644)
}

const now = `{"applicationId": 1, "campaignId": 1}`

// daemon is a running binary with its log.
type daemon struct {
	cmd     *exec.Cmd
	started time.Time
	mu      sync.Mutex         // guards the fields below
	events  map[string][]event // by message
	trouble *event             // the first event that ends the measurement
	more    chan struct{}
	ended   chan error
	peak    int64 // most anonymous bytes seen
}

// event is one line of the daemon's log.
type event struct {
	Time    time.Time `json:"time"`
	Msg     string    `json:"msg"`
	Level   string    `json:"level"`
	Drop    string    `json:"drop"`
	Sending string    `json:"sending"`
	State   string    `json:"state"`
	Folder  string    `json:"folder"`
}

func (b *bench) run(ctx context.Context, s *setup) (*daemon, error) {
	d := &daemon{events: map[string][]event{}, more: make(chan struct{}, 1), ended: make(chan error, 1)}
	line := slices.Concat(s.under, []string{b.bin, "run", "--config", s.config}, s.flags)
	d.cmd = exec.CommandContext(ctx, line[0], line[1:]...)
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	out, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	d.started = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				e.Msg = lines.Text()
			}
			d.mu.Lock()
			d.events[e.Msg] = append(d.events[e.Msg], e)
			if d.trouble == nil && (e.Msg == "drop refused" || e.Level == "ERROR") {
				d.trouble = &e
			}
			d.mu.Unlock()
			select {
			case d.more <- struct{}{}:
			default:
			}
		}
		d.ended <- d.cmd.Wait()
	}()
	return d, nil
}

// await waits for the n-th event with that message.
func (d *daemon) await(ctx context.Context, msg string, n int) (event, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		trouble, found := d.trouble, d.events[msg]
		d.mu.Unlock()
		if trouble != nil {
			return *trouble, fmt.Errorf("the daemon reported: %+v", *trouble)
		}
		if len(found) >= n {
			return found[n-1], nil
		}
		select {
		case <-ctx.Done():
			return event{}, ctx.Err()
		case err := <-d.ended:
			return event{}, fmt.Errorf("the daemon exited: %w", err)
		case <-d.more:
		case <-tick.C:
			d.peak = max(d.peak, d.memory())
		}
	}
}

// memory returns the resident memory that is no file's, in bytes.
func (d *daemon) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// cpu returns the CPU time used so far.
func (d *daemon) cpu() time.Duration { return cpuOf(d.cmd.Process.Pid) }

// cpuOf returns the CPU time that a process has used so far, to a hundredth of a second.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100)
}

// stop shuts the daemon down gracefully.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-d.ended
}

// storeBytes returns the size of the store's file.
func (s *setup) storeBytes() int64 {
	info, err := os.Stat(filepath.Join(s.dir, "var", "campaignd.db"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// finished reads start and end from a report.
func finished(folder string) (took time.Duration, err error) {
	data, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err != nil {
		return 0, err
	}
	var r struct{ StartedAt, FinishedAt time.Time }
	if err := json.Unmarshal(data, &r); err != nil {
		return 0, err
	}
	return r.FinishedAt.Sub(r.StartedAt), nil
}
