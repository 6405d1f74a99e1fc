package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// HubStatus says how the hub and its workers are doing.
type HubStatus struct {
	Epoch     uint64 // 0: it never had a connection
	Connected bool
	Server    string // URL of the connected server, "" for none
	Ready     bool   // batches can be handed out
	Problem   string // why not, "" if Ready or only the connection is missing
	Lag       uint64 // parts of answers in the stream that aren't taken yet
	Batches   int    // handed out and not finished
	Workers   []WorkerRecord

	// Since the start.
	Withdrawn uint64 // batches that nobody was granted
	GivenBack uint64 // answers that gave back a batch
	Garbage   uint64 // messages that couldn't be decoded
}

// Status returns the status.
func (h *Hub) Status() HubStatus {
	s := HubStatus{Epoch: h.epoch.Load(), Connected: h.connected(), Ready: h.ready.Load(),
		Withdrawn: h.counts.withdrawn.Load(), GivenBack: h.counts.givenBack.Load(), Garbage: h.counts.garbage.Load()}
	if s.Connected {
		s.Server = h.linked.Load().Server()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Problem, s.Lag, s.Batches, s.Workers = h.problem, h.lag, len(h.batches), h.workers
	s.Ready = s.Ready && s.Connected && s.Problem == ""
	return s
}

// CheckStreams returns what in the streams differs from the configuration, or makes them lose
// what they have acknowledged. Whether the servers sync every write can't be asked over their
// protocol: their HTTP monitoring says it.
func (h *Hub) CheckStreams(ctx context.Context) ([]string, error) {
	conn := h.linked.Load()
	if conn == nil || !conn.Connected() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var list []string
	want := max(h.config.Replicas, 1)
	if want < 3 {
		list = append(list, fmt.Sprintf("replicas = %d in [nats]: with a server's disk, answers and batches are lost", want))
	}
	for _, name := range []string{conn.Names.WorkStream(), conn.Names.DoneStream(), "KV_" + conn.Names.WorkersBucket()} {
		stream, err := conn.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			list = append(list, fmt.Sprintf("stream %s is missing: somebody deleted it, or a server lost it; the hub makes it again", name))
			continue
		}
		if err != nil {
			return list, fmt.Errorf("check stream %s: %w", name, err)
		}
		info := stream.CachedInfo()
		if info.Config.Replicas != want {
			list = append(list, fmt.Sprintf("stream %s has %d replicas, not the %d of [nats]", name, info.Config.Replicas, want))
		}
		if info.Config.Storage != jetstream.FileStorage {
			list = append(list, fmt.Sprintf("stream %s is in memory: it is gone when its servers restart", name))
		}
		if info.Cluster == nil {
			continue
		}
		for _, r := range info.Cluster.Replicas {
			if r.Offline || !r.Current {
				list = append(list, fmt.Sprintf("stream %s: its copy on server %s is offline or behind", name, r.Name))
			}
		}
	}
	return append(list, CheckSync(ctx, h.config.Monitoring)...), nil
}
