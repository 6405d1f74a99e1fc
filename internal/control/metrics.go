package control

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// Metrics counts what happens while it happens. No label ever holds a contact
// or a reference: applications, channels, outcomes and states are all there
// are, and each of them is bounded by the configuration or the contract.
// It is the send.Observer of the daemon. All methods are safe for concurrent use.
type Metrics struct {
	lanes    sync.Map // lane -> *laneMetrics: labels are looked up once, not a message
	retries  *prometheus.CounterVec
	messages *prometheus.CounterVec
	lateness *prometheus.HistogramVec
	duration *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	drops    *prometheus.CounterVec
	told     *prometheus.CounterVec
	refused  prometheus.Counter
}

var _ send.Observer = (*Metrics)(nil)

// lane is an application's channel.
type lane struct {
	application int64
	channel     string
}

// laneMetrics are the counters of one lane.
type laneMetrics struct {
	lateness, duration prometheus.Observer
	retries            prometheus.Counter
	outcomes           [campaign.Rejected + 1]prometheus.Counter // of the final ones
}

// NewMetrics makes the counters and registers them. The error is of a registry
// that has them already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	channel := []string{"application", "channel"}
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaignd_messages_total",
			Help: "Messages that reached a final outcome. A message that is sent again is counted again.",
		}, append(channel, "outcome")),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaignd_retries_total",
			Help: "Attempts that failed and will be made again.",
		}, channel),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "campaignd_lateness_seconds",
			Help:    "How long after its time a message's first attempt began.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200},
		}, channel),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "campaignd_send_duration_seconds",
			Help:    "How long a channel took to answer an attempt.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, channel),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaignd_rows_total",
			Help: "Data rows of drops that were checked, by what became of them: accepted, rejected or duplicate.",
		}, []string{"application", "result"}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaignd_drops_total",
			Help: "Drops, by each state they came into.",
		}, []string{"state"}),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "campaignd_deliveries_total",
			Help: "Messages of which a provider told that they were delivered, read or failed after it had taken them. One that was delivered and then read is counted in both.",
		}, []string{"application", "delivery"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "campaignd_webhooks_refused_total",
			Help: "Calls of /hooks/ that were not taken: without a good signature or verify token, unreadable, or not kept because the store could not be written.",
		}),
	}
	for _, c := range []prometheus.Collector{m.messages, m.retries, m.lateness, m.duration, m.rows, m.drops, m.told, m.refused} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, state := range campaign.States {
		m.drops.WithLabelValues(string(state)) // 0 from the start: a rate needs a first value
	}
	return m, nil
}

// of gives the counters of a lane.
func (m *Metrics) of(application int64, channelType string) *laneMetrics {
	key := lane{application, channelType}
	if found, ok := m.lanes.Load(key); ok {
		return found.(*laneMetrics)
	}
	id := applicationLabel(application)
	made := &laneMetrics{
		lateness: m.lateness.WithLabelValues(id, channelType),
		duration: m.duration.WithLabelValues(id, channelType),
		retries:  m.retries.WithLabelValues(id, channelType),
	}
	for _, o := range campaign.FinalOutcomes {
		made.outcomes[o] = m.messages.WithLabelValues(id, channelType, o.String())
	}
	found, _ := m.lanes.LoadOrStore(key, made)
	return found.(*laneMetrics)
}

// Attempted implements send.Observer.
func (m *Metrics) Attempted(application int64, channelType string, _ int, lateness, took time.Duration) {
	m.Lateness(application, channelType, lateness)
	m.Duration(application, channelType, took)
}

// Recorded implements send.Observer.
func (m *Metrics) Recorded(application int64, channelType string, o campaign.Outcome, n int) {
	switch {
	case n <= 0:
	case o == campaign.Retrying:
		m.of(application, channelType).retries.Add(float64(n))
	case o.Final():
		m.Outcome(application, channelType, o, uint64(n))
	}
}

func applicationLabel(id int64) string { return strconv.FormatInt(id, 10) }

// Outcome counts messages that reached a final outcome, and o has to be one.
func (m *Metrics) Outcome(application int64, channelType string, o campaign.Outcome, n uint64) {
	m.of(application, channelType).outcomes[o].Add(float64(n))
}

// Lateness notes how long after its time a first attempt began.
func (m *Metrics) Lateness(application int64, channelType string, late time.Duration) {
	m.of(application, channelType).lateness.Observe(max(late, 0).Seconds())
}

// Duration notes how long a channel took to answer an attempt.
func (m *Metrics) Duration(application int64, channelType string, took time.Duration) {
	m.of(application, channelType).duration.Observe(took.Seconds())
}

// Rows counts the rows of a drop that was checked.
func (m *Metrics) Rows(application int64, rows campaign.RowCounts) {
	label := applicationLabel(application)
	m.rows.WithLabelValues(label, "accepted").Add(float64(rows.Accepted))
	m.rows.WithLabelValues(label, "rejected").Add(float64(rows.Rejected))
	m.rows.WithLabelValues(label, "duplicate").Add(float64(rows.Duplicate))
}

// Drop counts a drop that came into a state.
func (m *Metrics) Drop(state campaign.State) { m.drops.WithLabelValues(string(state)).Inc() }

// Delivery counts a message of which a provider told something new.
func (m *Metrics) Delivery(application int64, state campaign.DeliveryState) {
	m.told.WithLabelValues(applicationLabel(application), state.String()).Inc()
}

// HookRefused counts a call of a webhook that was not taken.
func (m *Metrics) HookRefused() { m.refused.Inc() }
