package natstest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, LeftBehind()...) }

// TestAServerThatEndsWhileItMakesStreams leaves goroutines behind in most of its runs.
func TestAServerThatEndsWhileItMakesStreams(t *testing.T) {
	for range 5 {
		s := Start(t, &server.Options{})
		conn, err := nats.Connect(s.ClientURL(), nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		made := make(chan struct{}, 4)
		var makers sync.WaitGroup
		for i := range cap(made) {
			makers.Go(func() {
				for k := 0; ; k++ {
					name := fmt.Sprintf("s%d-%d", i, k)
					if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}}); err != nil {
						return
					}
					select {
					case made <- struct{}{}:
					default:
					}
				}
			})
		}
		<-made
		Stop(s)
		conn.Close()
		makers.Wait()
	}
}
