// Package cluster tests workers on other machines with the real binary: a hub, workers and a NATS
// server, each a process of its own that is killed and frozen while a campaign is sent. The NATS
// server is this test's binary, started again.
package cluster
