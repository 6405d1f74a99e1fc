package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// binary is campaignd with failpoints, built once for all tests.
var binary string

// Variables of the environment.
const (
	asNATS = "CLUSTER_NATS"   // be a NATS server on this port of loopback, with the store in CLUSTER_STORE
	store  = "CLUSTER_STORE"  // folder of its streams
	peers  = "CLUSTER_PEERS"  // ports of loopback, its own first, over which the servers of a cluster talk; unset: a single server
	counts = "CLUSTER_ROUNDS" // repeat the tests that kill; unset: the short part only
	seeds  = "CLUSTER_SEED"   // of the random moments; unset: another one each time
)

// rounds returns how often a test of the long run repeats itself.
func rounds(t *testing.T) int {
	t.Helper()
	n := repeats()
	if n == 0 {
		t.Skip("part of the long run: make test-cluster")
	}
	return n
}

// repeats returns how often tests of the long run repeat themselves; 0: only the short part runs.
func repeats() int {
	n, err := strconv.Atoi(os.Getenv(counts))
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// seedOf returns the seed of the random moments of this run.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(seeds), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("%s=%d", seeds, seed)
	return seed
}

func TestMain(m *testing.M) {
	if port := os.Getenv(asNATS); port != "" {
		os.Exit(serveNATS(port, os.Getenv(store), os.Getenv(peers)))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "campaignd-cluster-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "campaignd")
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", binary, "campaignd/cmd/campaignd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build campaignd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// serveNATS is a NATS server until SIGTERM. Each message is synced before its acknowledgement.
func serveNATS(port, dir, peers string) int {
	n, err := strconv.Atoi(port)
	if err != nil {
		return 2
	}
	options := &server.Options{Host: "127.0.0.1", Port: n, NoSigs: true, JetStream: true, StoreDir: dir, SyncAlways: true, ServerName: port}
	if own, others, clustered := strings.Cut(peers, ","); clustered {
		options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", NoAdvertise: true} // else clients would find ways around a link
		if options.Cluster.Port, err = strconv.Atoi(own); err != nil {
			return 2
		}
		options.Routes = server.RoutesFromStr("nats://127.0.0.1:" + strings.ReplaceAll(others, ",", ",nats://127.0.0.1:"))
	}
	s, err := server.NewServer(options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.ConfigureLogger()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return 1
	}
	<-ended
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}
