package relay

import "campaignd/internal/send"

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
	Channels  []RemoteChannel

	// Since the start.
	HandedOut  uint64 // batches
	Withdrawn  uint64 // batches that nobody was granted
	Regranted  uint64 // batches granted to a further worker
	GivenBack  uint64 // answers that gave back a batch
	Settled    uint64 // messages of earlier hubs whose answer was found
	Unanswered uint64 // messages of earlier hubs that nobody answered for
	Unexpected uint64 // answers that nobody waited for, mostly repetitions
	Garbage    uint64 // messages that couldn't be decoded
}

// RemoteChannel is a channel that workers send.
type RemoteChannel struct {
	Application int64
	Name        string
	send.Workers
}

// Status returns the status.
func (h *Hub) Status() HubStatus {
	s := HubStatus{Epoch: h.epoch.Load(), Connected: h.connected(), Ready: h.ready.Load(),
		HandedOut: h.counts.handedOut.Load(), Withdrawn: h.counts.withdrawn.Load(), Regranted: h.counts.regranted.Load(),
		GivenBack: h.counts.givenBack.Load(), Settled: h.counts.settled.Load(), Unanswered: h.counts.unanswered.Load(),
		Unexpected: h.counts.unknown.Load(), Garbage: h.counts.garbage.Load()}
	if s.Connected {
		s.Server = h.linked.Load().Server()
	}
	for _, c := range h.list() {
		s.Channels = append(s.Channels, RemoteChannel{c.application, c.name, c.Workers()})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Problem, s.Lag, s.Batches, s.Workers = h.problem, h.lag, len(h.batches), h.workers
	s.Ready = s.Ready && s.Connected && s.Problem == ""
	return s
}
