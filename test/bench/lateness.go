package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lateness measures the delay of single messages due at random times, on an idle
// daemon and while another channel sends 5,000 messages a second.
func lateness(ctx context.Context, b *bench) error {
	if err := b.latenessOf(ctx, "idle", 0, 5*time.Millisecond); err != nil {
		return err
	}
	return b.latenessOf(ctx, "beside 5,000 messages a second", 5000, 50*time.Millisecond)
}

func (b *bench) latenessOf(ctx context.Context, how string, rate int, limit time.Duration) error {
	const singles, span = 1000, 15 * time.Second
	box := filepath.Join(b.scratch, "late.jsonl")
	defer os.Remove(box)
	s, err := b.newSetup(fmt.Sprintf("driver = \"outbox\"\npath = %q\n[applications.channels.busy]\ndriver = \"null\"\nrate = %d", box, max(rate, 1)))
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	campaign := `{"id": 2, "applicationId": 1, "channelTypes": ["busy"], "messageContent": [{"body": "Hello {{name}}"}]}`
	if err := os.WriteFile(filepath.Join(s.dir, "campaigns", "2.json"), []byte(campaign), 0o644); err != nil {
		return err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	begin := time.Now()
	var times []time.Time
	for i := range singles {
		at := begin.Add(b.lead + time.Duration(rand.Int64N(int64(span))))
		times = append(times, at)
		sidecar := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, at.UTC().Format("2006-01-02T15:04:05.000Z"))
		if err := s.drop(fmt.Sprintf("single%04d", i), 1, i, sidecar); err != nil {
			return err
		}
	}
	if _, err := d.await(ctx, "drop accepted", singles); err != nil {
		return err
	}
	if took := time.Since(begin); took > b.lead {
		return fmt.Errorf("the drops took %s to be accepted: some were due before", took)
	}
	if rate > 0 {
		if err := s.dropBusy(rate * int((b.lead+span).Seconds()+5)); err != nil {
			return err
		}
	}
	bare := make(chan []time.Duration, 1)
	go func() { bare <- bareTimers(times) }()
	if _, err := d.await(ctx, "drop ended", singles); err != nil {
		return err
	}
	timers := <-bare
	if err := d.stop(); err != nil {
		return err
	}
	late, err := readLateness(box)
	if err != nil {
		return err
	}
	if len(late) != singles {
		return fmt.Errorf("%d of %d single messages are in the outbox", len(late), singles)
	}
	slices.Sort(late)
	b.add(figure{fmt.Sprintf("lateness of %d single messages, %s, 99%%", singles, how), round(late[singles*99/100]),
		fmt.Sprintf("half %s, worst %s; a bare timer at the same times: 99%% %s, half %s", round(late[singles/2]), round(late[singles-1]),
			round(timers[singles*99/100]), round(timers[singles/2])), 0,
		fmt.Sprintf("at most %s, none early", limit), late[0] >= 0 && late[singles*99/100] <= limit})
	return nil
}

// bareTimers measures the delay of one idle goroutine's timer at the same times,
// in order: the machine's own limit at that moment.
func bareTimers(times []time.Time) []time.Duration {
	var late []time.Duration
	for _, at := range slices.SortedFunc(slices.Values(times), time.Time.Compare) {
		if wait := time.Until(at); wait > 0 {
			time.Sleep(wait)
		}
		late = append(late, time.Since(at))
	}
	slices.Sort(late)
	return late
}

// dropBusy drops the load for the other channel.
func (s *setup) dropBusy(n int) error {
	base := filepath.Join(s.inbox, "busy")
	if err := writeCSV(base+".csv", n, 0); err != nil {
		return err
	}
	busy := `{"contact": {"contactCode": "{{contactCode}}", "channelType": "busy"}, "customFields": {"name": "{{name}}"}}`
	if err := os.WriteFile(base+".layout.json", []byte(busy), 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".schedule.json", []byte(`{"applicationId": 1, "campaignId": 2}`), 0o644)
}

// readLateness reads the delay between due and sent for each message.
func readLateness(path string) ([]time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var late []time.Duration
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m struct{ DueAt, SentAt time.Time }
		if err := json.NewDecoder(strings.NewReader(lines.Text())).Decode(&m); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		late = append(late, m.SentAt.Sub(m.DueAt))
	}
	return late, lines.Err()
}
