package daemon

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// workerCollector turns the worker's record into gauges at every scrape.
type workerCollector struct{ worker *worker }

// Describe implements prometheus.Collector.
func (workerCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{workerBuild(), workerConnected(), workerInFlight()} {
		to <- d
	}
}

func workerBuild() *prometheus.Desc {
	return prometheus.NewDesc("campaignd_build_info", "Always 1; the label is the running version.", []string{"version"}, nil)
}

func workerConnected() *prometheus.Desc {
	return prometheus.NewDesc("campaignd_nats_connected", "1 if a NATS server is connected.", nil, nil)
}

func workerInFlight() *prometheus.Desc {
	return prometheus.NewDesc("campaignd_in_flight_messages", "Attempts that have begun and not ended.", []string{"application", "channel"}, nil)
}

// Collect implements prometheus.Collector.
func (c workerCollector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(workerBuild(), 1, c.worker.opts.Version)
	connected := 0.0
	if c.worker.conn.Connected() {
		connected = 1
	}
	gauge(workerConnected(), connected)
	for _, ch := range c.worker.record().Channels {
		gauge(workerInFlight(), float64(ch.InFlight), fmt.Sprint(ch.Application), ch.Name)
	}
}
