package control

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/campaign"
)

// Metrics counts what happens while it happens. No label ever holds a contact
// or a reference: applications, channels, outcomes and states are all there
// are, and each of them is bounded by the configuration or the contract.
// All methods are safe for concurrent use.
type Metrics struct {
	messages *prometheus.CounterVec
	lateness *prometheus.HistogramVec
	duration *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	drops    *prometheus.CounterVec
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
	}
	for _, c := range []prometheus.Collector{m.messages, m.lateness, m.duration, m.rows, m.drops} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, state := range campaign.States {
		m.drops.WithLabelValues(string(state)) // 0 from the start: a rate needs a first value
	}
	return m, nil
}

func applicationLabel(id int64) string { return strconv.FormatInt(id, 10) }

// Outcome counts messages that reached a final outcome.
func (m *Metrics) Outcome(application int64, channelType string, o campaign.Outcome, n uint64) {
	m.messages.WithLabelValues(applicationLabel(application), channelType, o.String()).Add(float64(n))
}

// Lateness notes how long after its time a first attempt began.
func (m *Metrics) Lateness(application int64, channelType string, late time.Duration) {
	m.lateness.WithLabelValues(applicationLabel(application), channelType).Observe(max(late, 0).Seconds())
}

// Duration notes how long a channel took to answer an attempt.
func (m *Metrics) Duration(application int64, channelType string, took time.Duration) {
	m.duration.WithLabelValues(applicationLabel(application), channelType).Observe(took.Seconds())
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
