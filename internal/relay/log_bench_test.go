package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// Sizes of the benchmark.
const (
	benchRows  = 400_000
	benchBatch = 1000   // messages a commit
	benchRate  = 20_000 // messages a second
)

// BenchmarkStandby takes rows in as fast as it can, then commits attempts and results at benchRate,
// with and without a standby. It reports what the standby costs and how far it is behind. One
// process holds hub, NATS server and copy; a second copy in a process of its own shows the memory.
func BenchmarkStandby(b *testing.B) {
	for _, replicated := range []bool{false, true} {
		b.Run(fmt.Sprintf("replicated=%t", replicated), func(b *testing.B) {
			for b.Loop() {
				benchStandby(b, replicated)
			}
		})
	}
}

func benchStandby(b *testing.B, replicated bool) {
	dir := b.TempDir()
	var s *store.Store
	var behind func() time.Duration
	var l *Log
	var child *exec.Cmd
	if replicated {
		n := startLogServer(b, 0)
		h := lead(b, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
		s = h.store
		l, _ = follow(b, n, filepath.Join(dir, "copy.db"))
		child = exec.Command(os.Args[0])
		child.Env = append(os.Environ(), asFollower+"="+filepath.Join(dir, "child.db"), followerNATS+"="+h.conn.Server())
		if err := child.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			_ = child.Process.Kill() // it never ends by itself
			_ = child.Wait()
		}()
		behind = func() time.Duration { return time.Since(l.Following().At) }
	} else {
		var err error
		if s, err = store.Open(filepath.Join(dir, "hub.db"), store.Options{}); err != nil {
			b.Fatal(err)
		}
		defer s.Close()
	}
	lag, stop := make(chan time.Duration), make(chan struct{})
	go func() {
		var most time.Duration
		for {
			select {
			case <-stop:
				lag <- most
				return
			case <-time.After(20 * time.Millisecond):
				if behind != nil && l.Following().Complete {
					most = max(most, behind())
				}
			}
		}
	}()
	began := time.Now()
	id := benchAccept(b, s)
	b.ReportMetric(benchRows/time.Since(began).Seconds(), "rows/s")
	began = time.Now()
	for first := 0; first < benchRows; first += benchBatch {
		for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
			entries := make([]campaign.Entry, benchBatch)
			for i := range entries {
				entries[i] = campaign.Entry{Sending: id, Row: uint32(first + i), Message: 1, Outcome: outcome, Attempts: 1, At: time.Now().UTC(), Provider: "p" + strconv.Itoa(first+i)}
			}
			if err := s.Commit(b.Context(), entries); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(time.Until(began.Add(time.Duration(first+benchBatch) * time.Second / benchRate)))
	}
	b.ReportMetric(benchRows/time.Since(began).Seconds(), "messages/s")
	close(stop)
	most := <-lag
	if !replicated {
		return
	}
	b.ReportMetric(most.Seconds(), "s-behind-at-most")
	hub, copied := fileSize(b, filepath.Join(dir, "hub.db")), fileSize(b, filepath.Join(dir, "child.db"))
	b.ReportMetric(float64(copied)/float64(hub), "copy/store")
	b.ReportMetric(float64(hub)/(1<<20), "MiB-store")
	b.ReportMetric(float64(anonymous(b, child.Process.Pid))/1024, "MiB-standby")
}

func fileSize(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// anonymous returns the memory of a process without its files, in KiB.
func anonymous(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "RssAnon:" {
			n, err := strconv.Atoi(string(fields[1]))
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("no RssAnon")
	return 0
}

// benchAccept takes in and accepts a sending.
func benchAccept(b *testing.B, s *store.Store) campaign.ID {
	b.Helper()
	head := &campaign.Sending{Name: "bench", Inbox: "inbox", ApplicationID: 1, CampaignID: 7}
	if err := s.Begin(head); err != nil {
		b.Fatal(err)
	}
	var packer store.Packer
	var chunks []store.Packed
	for first := 0; first < benchRows; first += campaign.ChunkRows {
		rows := &campaign.Rows{}
		rows.Reset(uint32(first), 1)
		for i := first; i < min(first+campaign.ChunkRows, benchRows); i++ {
			rows.Lines = append(rows.Lines, uint32(i+2))
			rows.Channels = append(rows.Channels, 0)
			rows.Contacts.AppendString(fmt.Sprintf("346%08d", i))
			rows.Values[0].AppendString(fmt.Sprintf("name %d", i))
		}
		chunks = append(chunks, packer.Pack(rows))
		if len(chunks) == 64 || first+campaign.ChunkRows >= benchRows {
			if err := s.AppendRows(head.ID, chunks); err != nil {
				b.Fatal(err)
			}
			chunks = nil
		}
	}
	head.Channels, head.Variables = []string{"bulk"}, []string{"name"}
	head.Contents = []campaign.Content{{Item: json.RawMessage(`{"body": "Hello {{name}}"}`)}}
	head.Rows = campaign.RowCounts{Total: benchRows, Accepted: benchRows}
	head.ScheduledAt = time.Now().UTC()
	if _, err := s.Accept(head, store.Terms{}); err != nil {
		b.Fatal(err)
	}
	return head.ID
}
