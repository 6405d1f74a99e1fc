package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// paced measures the delay of messages that are paced over slots, together with
// single-message sendings, on an otherwise idle daemon.
func paced(ctx context.Context, b *bench) error {
	const capacity, slots = 200, 4
	lines := filepath.Join(b.scratch, "paced.jsonl")
	s, err := b.newSetup(fmt.Sprintf("driver = \"outbox\"\npath = %q\n[applications.slicing]\nenabled = true\nslot = \"10s\"\ncapacity = %d\nactivation_recipients = 2", lines, capacity))
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	const singles = 25
	start := time.Now().Add(20 * time.Second)
	sidecar := func(at time.Time) string {
		return fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, at.UTC().Format(time.RFC3339Nano))
	}
	if err := s.drop("paced", capacity*slots, 0, sidecar(start)); err != nil {
		return err
	}
	for i := range singles {
		at := start.Add(time.Duration(i) * 1370 * time.Millisecond)
		if err := s.drop(fmt.Sprintf("single%02d", i), 1, 1_000_000+i, sidecar(at)); err != nil {
			return err
		}
	}
	if _, err := d.await(ctx, "drop accepted", singles+1); err != nil {
		return err
	}
	if left := time.Until(start); left < 3*time.Second {
		return fmt.Errorf("the drops were accepted only %s before their time", left)
	}
	if _, err := d.await(ctx, "drop ended", singles+1); err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	late, err := readLateness(lines)
	if err != nil {
		return err
	}
	if len(late) != capacity*slots+singles {
		return fmt.Errorf("%d messages went out, want %d", len(late), capacity*slots+singles)
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	early := 0
	for early < len(late) && late[early] < 0 {
		early++
	}
	b.limit(fmt.Sprintf("lateness of %d messages paced over slots, 99%% (half %s, worst %s)", len(late), late[len(late)/2].Round(10*time.Microsecond), late[len(late)-1].Round(10*time.Microsecond)),
		float64(p99)/float64(time.Millisecond), "ms", 20)
	b.limit("messages before their time", float64(early), "messages", 0)
	return os.Remove(lines)
}

// idleFor is the observation time of an idle daemon.
const idleFor = time.Minute

// idle measures an idle daemon's use of resources with the default configuration:
// a sending is scheduled for tomorrow and nothing is due.
func idle(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp(b.scratch, "idle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "configs"), os.DirFS("configs")); err != nil {
		return err
	}
	config := filepath.Join(dir, "configs", "campaignd.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	// Another daemon may use the port.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	text = bytes.Replace(text, []byte(`"127.0.0.1:8025"`), fmt.Appendf(nil, "%q", free.Addr()), 1)
	if err := free.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(config, text, 0o644); err != nil {
		return err
	}
	inbox := filepath.Join(dir, "inbox")
	if err := os.Mkdir(inbox, 0o755); err != nil {
		return err
	}
	s := &setup{dir: dir, inbox: inbox}
	if err := s.drop("tomorrow", 2000, 0, fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))); err != nil {
		return err
	}
	layout := strings.ReplaceAll(layout, `"bulk"`, `"cloud_api"`)
	if err := os.WriteFile(filepath.Join(inbox, "tomorrow.layout.json"), []byte(layout), 0o644); err != nil {
		return err
	}
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, bin, "run")
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM) }()
	time.Sleep(20 * time.Second) // the drop is accepted and its goroutines have ended
	if taken, _ := filepath.Glob(filepath.Join(inbox, "accepted", "tomorrow.*")); len(taken) != 1 {
		return fmt.Errorf("the drop was not accepted")
	}
	usedBefore, wokenBefore, err := usage(cmd.Process.Pid)
	if err != nil {
		return err
	}
	time.Sleep(idleFor)
	used, woken, err := usage(cmd.Process.Pid)
	if err != nil {
		return err
	}
	share := 100 * float64(used-usedBefore) / float64(idleFor)
	b.add(figure{"CPU, idle", fmt.Sprintf("%.3f%% of a core", share), "", 0, "under 0.1%", share < 0.1})
	// A timer once a second wakes a few threads; ten times as many wake-ups would show.
	b.limit("wake-ups of threads, idle", float64(woken-wokenBefore)/idleFor.Seconds(), "a second", 20)
	return nil
}

// usage reads a process's CPU time and the voluntary context switches of its threads.
func usage(pid int) (used time.Duration, woken int64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return 0, 0, fmt.Errorf("read threads of %d: %w", pid, err)
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			return 0, 0, err
		}
		nanos, err := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		used += time.Duration(nanos)
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				if err != nil {
					return 0, 0, err
				}
				woken += n
			}
		}
	}
	return used, woken, nil
}

// planning measures the plan of a million recipients without the store's commit. It
// takes the fastest run, because slower ones measure other load on the machine.
func planning(_ context.Context, b *bench) error {
	for _, c := range []struct {
		slot       time.Duration
		capacity   uint32
		recipients uint32
		limit      float64 // milliseconds
	}{
		{time.Minute, 800, 1_000_000, 1}, // 2,880 slots
		{time.Second, 12, 1_000_000, 10}, // 172,800 slots
	} {
		grid := plan.Grid{Slot: c.slot, Capacity: c.capacity}
		at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		held := halfFull{c.capacity}
		var worst time.Duration
		for _, condition := range campaign.Conditions {
			request := plan.Request{T: at, Until: at.Add(plan.Horizon), Condition: condition, Recipients: c.recipients, Messages: 1}
			runs := make([]time.Duration, 51)
			for i := range runs {
				begin := time.Now()
				placed, err := grid.Place(held, request)
				runs[i] = time.Since(begin)
				if err != nil || len(placed) == 0 {
					return fmt.Errorf("place %s: %w", condition, err)
				}
			}
			slices.Sort(runs)
			worst = max(worst, runs[0])
		}
		b.limit(fmt.Sprintf("planning %d recipients over %d half-full slots, fastest of 51", c.recipients, plan.Horizon/c.slot), float64(worst)/float64(time.Millisecond), "ms", c.limit)
	}
	return nil
}

// halfFull reports every slot as half reserved.
type halfFull struct{ capacity uint32 }

// Reserved implements plan.Reservations.
func (h halfFull) Reserved(_ int64, counts []uint32) error {
	for i := range counts {
		counts[i] = h.capacity / 2
	}
	return nil
}
