package relay

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"

	"campaignd/test/loopback"
	"campaignd/test/natstest"

	"github.com/nats-io/nats-server/v2/server"
)

// TestThreeServersLoseALeader kills the server that leads the stream, in the middle of pipelined appends.
func TestThreeServersLoseALeader(t *testing.T) {
	var servers []*server.Server
	var routes []*url.URL
	var urls []string
	for range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: loopback.FreeAddress(t)})
	}
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			t.Fatal(err)
		}
		s := natstest.Start(t, &server.Options{ServerName: fmt.Sprintf("n%d", i), Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes})
		servers, urls = append(servers, s), append(urls, s.ClientURL())
	}
	until(t, "the servers have a leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return s.JetStreamClusterPeers() != nil && len(s.JetStreamClusterPeers()) == 3
			}
		}
		return false
	})
	n := &natsServer{t: t, urls: urls, replicas: 3}
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 50, 1000)
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leader := stream.CachedInfo().Cluster.Leader
	done := make(chan struct{}, 4)
	for w := range cap(done) {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 100 {
				if err := h.put(4*i+w, 1000); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for i, s := range servers {
		if s.Name() == leader {
			servers[i].Shutdown()
		}
	}
	for range cap(done) {
		<-done
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
}
