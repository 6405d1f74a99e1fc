package control

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// collector turns Status into gauges at every scrape, so that no second set of
// counters is needed. If Status fails, campaignd_up is 0 and the rest is absent.
type collector struct {
	service Service
	up      *prometheus.Desc
	build   *prometheus.Desc
	started *prometheus.Desc
	config  *prometheus.Desc

	sendings *prometheus.Desc
	queue    *prometheus.Desc
	inFlight *prometheus.Desc
	held     *prometheus.Desc
	state    *prometheus.Desc
	rate     *prometheus.Desc
	reserved *prometheus.Desc
	capacity *prometheus.Desc
	waiting  *prometheus.Desc
	broken   *prometheus.Desc
	store    *prometheus.Desc
	free     *prometheus.Desc
	disk     *prometheus.Desc

	connected *prometheus.Desc
	workers   *prometheus.Desc
	places    *prometheus.Desc
	lag       *prometheus.Desc

	replication replicationCollector

	all []*prometheus.Desc // the above, but those of replication
}

// scrapeTimeout limits Status; Prometheus scrapes again anyway.
const scrapeTimeout = 5 * time.Second

func newCollector(service Service) *collector {
	var all []*prometheus.Desc
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		all = append(all, prometheus.NewDesc("campaignd_"+name, help, labels, nil))
		return all[len(all)-1]
	}
	c := &collector{
		service: service, replication: newReplicationCollector(),
		up:      desc("up", "1 if the daemon could report its status."),
		build:   desc("build_info", "Always 1; the label is the running version.", "version"),
		started: desc("start_time_seconds", "Time at which the daemon started, in seconds since the Unix epoch."),
		config:  desc("config_last_reload_successful", "0 if the last reload was refused and the old configuration is in force."),

		sendings: desc("sendings", "Sendings in the store.", "state"),
		queue:    desc("queue_messages", "Messages without a final outcome.", "stage"),
		inFlight: desc("in_flight_messages", "Attempts that have begun and not ended.", "application", "channel"),
		held:     desc("channel_held", "1 if the channel is held and sends nothing.", "application", "channel"),
		state:    desc("channel_state", "1 for the state of the channel, 0 for the other states: ok, trouble, throttled or held.", "application", "channel", "state"),
		rate:     desc("channel_rate_limit", "Messages a second that the channel may send now; 0 means no limit.", "application", "channel"),
		reserved: desc("slot_reserved_messages", "Messages reserved in the current slot.", "application"),
		capacity: desc("slot_capacity_messages", "Messages that fit into a slot.", "application"),
		waiting:  desc("inbox_waiting_drops", "Drops that aren't ready yet.", "inbox"),
		broken:   desc("inbox_broken", "1 if drops can't be found in the inbox or claimed from it.", "inbox"),
		store:    desc("store_size_bytes", "Size of the store's file."),
		free:     desc("store_free_bytes", "Unused space within the store's file that compaction would return."),
		disk:     desc("store_disk_free_bytes", "Free space of the store's file system."),

		connected: desc("nats_connected", "1 if a NATS server is connected. Only with [nats]."),
		workers:   desc("workers", "Running workers. Only with [nats]."),
		places:    desc("channel_worker_places", "Messages that the workers of the channel can send at once. Only where workers send.", "application", "channel"),
		lag:       desc("worker_answers_waiting", "Answers of workers in NATS that the hub hasn't read yet. Only with [nats]."),
	}
	c.all = all
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.all {
		to <- d
	}
	c.replication.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	s, err := c.service.Status(ctx)
	if err != nil {
		gauge(c.up, 0)
		return
	}
	gauge(c.up, 1)
	gauge(c.build, 1, s.Version)
	gauge(c.started, float64(s.StartedAt.UnixMilli())/1000)
	gauge(c.config, one(s.ConfigProblem == ""))
	for _, state := range campaign.States {
		gauge(c.sendings, float64(s.Sendings[state]), string(state))
	}
	gauge(c.queue, float64(s.Queue.Pending), "pending")
	gauge(c.queue, float64(s.Queue.InFlight), "in_flight")
	gauge(c.queue, float64(s.Queue.Retrying), "retrying")
	for _, ch := range s.Channels {
		label := applicationLabel(ch.ApplicationID)
		gauge(c.inFlight, float64(ch.InFlight), label, ch.ChannelType)
		gauge(c.held, one(ch.Held), label, ch.ChannelType)
		for _, state := range api.ChannelStates() {
			gauge(c.state, one(ch.State == state), label, ch.ChannelType, string(state))
		}
		gauge(c.rate, cmp.Or(ch.Current, ch.Rate), label, ch.ChannelType)
		if ch.Workers != nil {
			gauge(c.places, float64(*ch.Workers), label, ch.ChannelType)
		}
	}
	if s.Cluster != nil {
		gauge(c.connected, one(s.Cluster.Server != ""))
		gauge(c.workers, float64(len(s.Cluster.Workers)))
		gauge(c.lag, float64(s.Cluster.Lag))
		c.replication.collect(to, s.Cluster)
	}
	for _, slot := range s.Slots {
		gauge(c.reserved, float64(slot.Reserved), applicationLabel(slot.ApplicationID))
		gauge(c.capacity, float64(slot.Capacity), applicationLabel(slot.ApplicationID))
	}
	for _, in := range s.Inboxes {
		gauge(c.waiting, float64(in.Waiting), in.Path)
		gauge(c.broken, one(in.Problem != ""), in.Path)
	}
	gauge(c.store, float64(s.Store.Bytes))
	gauge(c.free, float64(s.Store.FreeBytes))
	gauge(c.disk, float64(s.Store.DiskFree))
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
