package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/api"
)

// replicationCollector describes the metrics of [standby]. Hub and standby have them alike.
type replicationCollector struct {
	role, replicated, ready, behind, lag, commit *prometheus.Desc
}

func newReplicationCollector() replicationCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("campaignd_"+name, help+" Only with [standby].", labels, nil)
	}
	return replicationCollector{
		role:       desc("role", "1 for the role of this process, 0 for the others: hub, standby or waiting.", "role"),
		replicated: desc("replicated", "1 if NATS has what the hub has written or, on the standby, if it can follow."),
		ready:      desc("standby_ready", "1 if a standby has a complete copy and could take over now."),
		behind:     desc("standby_behind_messages", "Messages of the log that the standby hasn't applied."),
		lag:        desc("standby_lag_seconds", "Time since the standby last had everything."),
		commit:     desc("log_commit", "Number of the last commit of the store: on the hub the last that went to the log, on the standby the last that its copy has."),
	}
}

func (c replicationCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.role, c.replicated, c.ready, c.behind, c.lag, c.commit} {
		to <- d
	}
}

func (c replicationCollector) collect(to chan<- prometheus.Metric, cluster *api.Cluster) {
	r := cluster.Replication
	if r == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, role := range []string{api.RoleHub, api.RoleStandby, api.RoleWaiting} {
		gauge(c.role, one(role == cluster.Role), role)
	}
	gauge(c.replicated, one(r.Problem == ""))
	gauge(c.ready, one(r.Ready))
	gauge(c.behind, float64(r.Behind))
	gauge(c.lag, r.Lag)
	gauge(c.commit, float64(r.Commit))
}

// standbyCollector is the collector of a process that waits to lead.
type standbyCollector struct {
	standby     Standby
	build       *prometheus.Desc
	connected   *prometheus.Desc
	replication replicationCollector
}

func newStandbyCollector(standby Standby) standbyCollector {
	all := newCollector(nil)
	return standbyCollector{standby: standby, build: all.build, connected: all.connected, replication: all.replication}
}

// Describe implements prometheus.Collector.
func (c standbyCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.build
	to <- c.connected
	c.replication.Describe(to)
}

// Collect implements prometheus.Collector.
func (c standbyCollector) Collect(to chan<- prometheus.Metric) {
	s := c.standby.Status()
	to <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, s.Version)
	to <- prometheus.MustNewConstMetric(c.connected, prometheus.GaugeValue, one(s.Cluster.Server != ""))
	c.replication.collect(to, s.Cluster)
}
