package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says how to reach NATS.
type Config struct {
	Servers     []string // URLs; tls:// requires TLS with the machine's certificate authorities
	Credentials string   // a .creds file's content, or "user:password"; "": none
	Name        string   // of the cluster: nats.name
	Replicas    int      // of streams and buckets
	Monitoring  []string // URLs of the servers' HTTP monitoring, for Hub.CheckStreams
	Client      string   // how NATS lists this connection, such as "campaignd hub"
	Wire        Versions // versions of the wire format to read and write; zero: OwnVersions. Others are for tests
	Log         *slog.Logger
}

// wire returns the versions to read and write.
func (c *Config) wire() Versions { return cmp.Or(c.Wire, OwnVersions()) }

// Conn is a connection to NATS. It reconnects for ever. While it is down every call fails at
// once or with its context; nothing is kept to be published later.
type Conn struct {
	Names Names

	config Config
	wire   Versions
	nc     *nats.Conn
	js     jetstream.JetStream

	leases atomic.Pointer[jetstream.KeyValue] // their bucket; nil: it must be opened
}

// Times of the connection.
const (
	dialTimeout   = 2 * time.Second
	reconnectWait = 500 * time.Millisecond
	pingInterval  = 2 * time.Second // with maxPings: a dead connection is noticed within 6 s
	maxPings      = 2
	writeTimeout  = 5 * time.Second // a server that takes nothing blocks everybody who publishes for so long
	callTimeout   = 5 * time.Second
	connectPoll   = 20 * time.Millisecond
)

// Connect starts connecting and returns at once, whether a server answers or not. It fails only
// if the configuration is wrong. Close ends the connection.
func Connect(config Config) (*Conn, error) {
	log := cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	options := []nats.Option{
		nats.Name(config.Client),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be repaired on the server
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.ReconnectBufSize(-1), // a claim must not leave after its timeout
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(writeTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost; trying again until it is back", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("connected to NATS", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS reports an error", "err", err) }),
	}
	if option, err := credentials(config.Credentials); err != nil {
		return nil, err
	} else if option != nil {
		options = append(options, option)
	}
	nc, err := nats.Connect(strings.Join(config.Servers, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(callTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return &Conn{Names: NewNames(config.Name), config: config, wire: config.wire(), nc: nc, js: js}, nil
}

// ErrCredentials is returned when credentials have no known form. It doesn't repeat them.
var ErrCredentials = errors.New(`the credentials of NATS are neither a .creds file nor "user:password"`)

func credentials(text string) (nats.Option, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Contains(text, "-----BEGIN NATS USER JWT-----") {
		return nats.UserCredentialBytes([]byte(text)), nil
	}
	if user, password, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(text, "\r\n") {
		return nats.UserInfo(user, password), nil
	}
	return nil, ErrCredentials
}

// WaitConnected waits until a server is connected. The error names the last failure.
func (c *Conn) WaitConnected(ctx context.Context) error {
	for !c.nc.IsConnected() {
		if !sleep(ctx, connectPoll) {
			if last := c.nc.LastError(); last != nil {
				return fmt.Errorf("no NATS server answers: %w", last)
			}
			return fmt.Errorf("no NATS server answers: %w", ctx.Err())
		}
	}
	return nil
}

// Connected reports whether a server is connected now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Server returns the URL of the connected server without a password, "" if there is none.
func (c *Conn) Server() string { return c.nc.ConnectedUrlRedacted() }

// MaxPayload returns the largest message that the server takes, in bytes; 0 before the first connection.
func (c *Conn) MaxPayload() int64 { return c.nc.MaxPayload() }

// Close ends the connection at once.
func (c *Conn) Close() { c.nc.Close() }
