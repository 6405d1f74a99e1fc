package control

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// Metrics counts events as they happen. Labels are applications, channels,
// outcomes and states only, all bounded by the configuration or the contract;
// no label ever holds a contact or a reference. Metrics implements send.Observer.
// All methods are safe for concurrent use.
type Metrics struct {
	channels   sync.Map // channelKey -> *channelMetrics: labels are resolved once, not for each message
	retries    *prometheus.CounterVec
	messages   *prometheus.CounterVec
	lateness   *prometheus.HistogramVec
	duration   *prometheus.HistogramVec
	rows       *prometheus.CounterVec
	drops      *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	refused    prometheus.Counter
	ignored    *prometheus.CounterVec
	replies    *prometheus.CounterVec
	uploads    *prometheus.CounterVec
	uploaded   prometheus.Counter
	notices    *prometheus.CounterVec
}

var _ send.Observer = (*Metrics)(nil)

// channelKey identifies an application's channel.
type channelKey struct {
	application int64
	channel     string
}

// channelMetrics holds the metrics of one channel.
type channelMetrics struct {
	lateness, duration prometheus.Observer
	retries            prometheus.Counter
	outcomes           [campaign.Rejected + 1]prometheus.Counter // final outcomes only
}

// NewMetrics creates the metrics and registers them. It fails if the registry has
// them already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	var err error
	register := func(c prometheus.Collector) { err = errors.Join(err, registry.Register(c)) }
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "campaignd_" + name, Help: help}, labels)
		register(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "campaignd_" + name, Help: help, Buckets: buckets}, labels)
		register(h)
		return h
	}
	m := &Metrics{
		messages: counter("messages_total", "Messages that reached a final outcome. A message that is resent counts again.", "application", "channel", "outcome"),
		retries:  counter("retries_total", "Failed attempts that will be repeated.", "application", "channel"),
		lateness: histogram("lateness_seconds", "Delay between a message's due time and its first attempt.",
			[]float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}, "application", "channel"),
		duration: histogram("send_duration_seconds", "Time that a channel took to answer an attempt.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}, "application", "channel"),
		rows:       counter("rows_total", "Data rows of checked drops by result: accepted, rejected or duplicate.", "application", "result"),
		drops:      counter("drops_total", "Drops, counted at each state that they reach.", "state"),
		deliveries: counter("deliveries_total", "Messages that a provider accepted and then reported as delivered, read or failed. A message that was delivered and then read counts as both.", "application", "delivery"),
		refused:    counter("webhooks_refused_total", "Calls of /hooks/ that were refused: without a valid signature or verify token, unreadable, or not recorded because the store could not be written.").WithLabelValues(),
		ignored:    counter("webhook_events_ignored_total", "Events of signed calls of /hooks/ that had no effect, by reason: status and preference (not understood), message (not understood, or not from a contact), other_number, other.", "reason"),
		replies:    counter("replies_total", "Replies of contacts, by result: matched to a sending, or unmatched.", "result"),
		uploads:    counter("uploads_total", "Uploads over HTTP by their answer: accepted, checking (not decided yet), cut (the body ended early), gone (the client didn't wait for the answer), or the code of the error.", "result"),
		uploaded:   counter("upload_bytes_total", "Bytes of files and fields in uploads, counted when an upload ends, however it ends.").WithLabelValues(),
		notices:    counter("notices_total", "Requests to notify_url by result: delivered, retried (it failed and will be repeated) or given_up.", "result"),
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	for _, state := range campaign.States {
		m.drops.WithLabelValues(string(state)) // starts at 0: rate() needs a first value
	}
	m.Replies(0, 0)
	for _, result := range []string{UploadAccepted, UploadChecking, UploadCut, UploadGone, string(api.CodeRejected)} {
		m.uploads.WithLabelValues(result)
	}
	return m, nil
}

// channel returns the metrics of a channel.
func (m *Metrics) channel(application int64, channelType string) *channelMetrics {
	key := channelKey{application, channelType}
	if found, ok := m.channels.Load(key); ok {
		return found.(*channelMetrics)
	}
	id := applicationLabel(application)
	made := &channelMetrics{
		lateness: m.lateness.WithLabelValues(id, channelType),
		duration: m.duration.WithLabelValues(id, channelType),
		retries:  m.retries.WithLabelValues(id, channelType),
	}
	for _, o := range campaign.FinalOutcomes {
		made.outcomes[o] = m.messages.WithLabelValues(id, channelType, o.String())
	}
	found, _ := m.channels.LoadOrStore(key, made)
	return found.(*channelMetrics)
}

// Attempted implements send.Observer.
func (m *Metrics) Attempted(application int64, channelType string, _ int, lateness, took time.Duration) {
	c := m.channel(application, channelType)
	c.lateness.Observe(max(lateness, 0).Seconds())
	c.duration.Observe(took.Seconds())
}

// Recorded implements send.Observer.
func (m *Metrics) Recorded(application int64, channelType string, o campaign.Outcome, n int) {
	switch {
	case n <= 0:
	case o == campaign.Retrying:
		m.channel(application, channelType).retries.Add(float64(n))
	case o.Final():
		m.channel(application, channelType).outcomes[o].Add(float64(n))
	}
}

func applicationLabel(id int64) string { return strconv.FormatInt(id, 10) }

// Rows counts the rows of a checked drop.
func (m *Metrics) Rows(application int64, rows campaign.RowCounts) {
	label := applicationLabel(application)
	m.rows.WithLabelValues(label, "accepted").Add(float64(rows.Accepted))
	m.rows.WithLabelValues(label, "rejected").Add(float64(rows.Rejected))
	m.rows.WithLabelValues(label, "duplicate").Add(float64(rows.Duplicate))
}

// Drop counts a drop that reached a state.
func (m *Metrics) Drop(state campaign.State) { m.drops.WithLabelValues(string(state)).Inc() }

// Delivery counts a message with a new delivery state.
func (m *Metrics) Delivery(application int64, state campaign.DeliveryState) {
	m.deliveries.WithLabelValues(applicationLabel(application), state.String()).Inc()
}

// HookRefused counts a refused call of a webhook.
func (m *Metrics) HookRefused() { m.refused.Inc() }

// Replies counts the replies that belong to a sending and those that belong to none.
func (m *Metrics) Replies(matched, unmatched int) {
	m.replies.WithLabelValues("matched").Add(float64(matched))
	m.replies.WithLabelValues("unmatched").Add(float64(unmatched))
}

// HookIgnored counts events of a webhook that had no effect.
func (m *Metrics) HookIgnored(reason string, n int) {
	m.ignored.WithLabelValues(reason).Add(float64(n))
}

// The results of uploads that end without an error answer. The others are values of Code.
const (
	UploadAccepted = "accepted"
	UploadChecking = "checking" // the check takes longer than the answer waits
	UploadCut      = "cut"      // the body ended early, came too slowly or isn't what the headers say
	UploadGone     = "gone"     // the client didn't wait for the answer
)

// Upload counts an upload by its result: one of the constants above or a Code.
func (m *Metrics) Upload(result string, bytes int64) {
	m.uploads.WithLabelValues(result).Inc()
	m.uploaded.Add(float64(bytes))
}

// Notices counts n requests to notify_url with a result.
func (m *Metrics) Notices(result string, n int) { m.notices.WithLabelValues(result).Add(float64(n)) }
