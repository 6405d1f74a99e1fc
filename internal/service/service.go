// Package service carries out what people and programs ask for over the socket, HTTP and the
// dashboard: it lists and steers sendings, takes uploads, keeps opt-outs, shows the timeline, sends a
// test message and looks after the store. It is a room of its own because control only transports and
// daemon only builds.
//
// Each operation reads the store, asks intake or the dispatcher for what they own, and leaves an entry
// in the audit trail for every change. A mistake of the caller comes back as an *api.Error.
package service

import (
	"context"
	"log/slog"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/intake"
	"campaignd/internal/keylock"
	"campaignd/internal/send"
	"campaignd/internal/watch"
)

// StoreName is the name of the store's file in the state folder (docs/contract.md 11).
const StoreName = "campaignd.db"

// Store is what the operations use of the store, by file. *store.Store implements it.
type Store interface {
	sendingStore
	optOutStore
	uploadStore
	slotStore
	upkeepStore
}

// Watchers are the running watchers of the inboxes.
type Watchers interface {
	// Counts returns the counts of each watched inbox at its last scan, by path.
	Counts() map[string]watch.Counts
	// Waits returns the drops that wait in each watched inbox, with their reasons.
	Waits() map[string][]watch.Wait
}

// Cluster is the hub of the workers.
type Cluster interface {
	// ClusterStatus returns the state of the connection and the workers.
	ClusterStatus() *api.Cluster
	// ClusterFindings checks NATS and the workers.
	ClusterFindings(ctx context.Context) []api.Finding
	// Handover ends this process so that the standby leads, after recorded has left its trace.
	Handover(recorded func() error) (api.Handover, error)
}

// Options are the parts that the operations use.
type Options struct {
	Store      Store
	Intake     *intake.Intake
	Keeper     *filing.Keeper // of the folders
	Dispatcher *send.Dispatcher
	Inboxes    *folders.Inboxes
	Watchers   Watchers
	Cluster    Cluster // nil: one machine
	Metrics    *control.Metrics
	Log        *slog.Logger
	Now        func() time.Time
	Version    string
	StartedAt  time.Time
	Stopping   context.Context // ends when the daemon begins to stop

	Environment func() config.Environment // what the drivers of test messages get

	// Loaded returns the configuration in force, when it was read, and why the last reload was refused.
	Loaded func() (c *config.Config, at time.Time, problem string)
}

// Service implements control.Service, except for Reload. Its methods are safe for concurrent use.
type Service struct {
	Options
	requests keylock.Locks[[32]byte] // by Idempotency-Key
}

// New returns a Service. It does no I/O.
func New(o Options) *Service { return &Service{Options: o} }

// Config returns the configuration in force.
func (svc *Service) Config() *config.Config {
	c, _, _ := svc.Loaded()
	return c
}
