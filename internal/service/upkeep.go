package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// upkeepStore is the store as operators see it.
type upkeepStore interface {
	Stats() (store.Stats, error)
	Due(until time.Time) (ids []campaign.ID, next time.Time, err error)
	Writable() error
	Verify(deep bool) []string
	Backup(io.Writer) error
	Compact(context.Context) (store.Compacted, error)
	Audit(store.AuditEntry) error
	EachAudit(since time.Time, fn func(store.AuditEntry) error) error
}

// Status implements control.Upkeep.
func (svc *Service) Status(context.Context) (api.Status, error) {
	stats, err := svc.Store.Stats()
	if err != nil {
		return api.Status{}, err
	}
	c, configAt, problem := svc.Loaded()
	s := api.Status{
		Version: svc.Version, PID: os.Getpid(), StartedAt: svc.StartedAt.UTC(), Now: svc.Now().UTC(),
		ConfigFile: c.File, ConfigAt: configAt.UTC(), ConfigProblem: problem, Stopping: svc.Stopping.Err() != nil,
		Sendings: map[campaign.State]int{}, Channels: []api.Channel{},
		Store: api.Store{Path: filepath.Join(c.StateDir, StoreName), Bytes: stats.FileBytes, FreeBytes: stats.FreeBytes},
	}
	for state, n := range stats.Sendings {
		s.Sendings[state] = int(n)
	}
	if free, err := safeio.FreeSpace(c.StateDir); err == nil {
		s.Store.DiskFree = int64(free)
	}
	s.Inboxes = svc.inboxStatus(c)
	for _, channel := range svc.Dispatcher.Channels() {
		ch := api.Channel{ApplicationID: channel.Application, ChannelType: channel.Name, Rate: channel.Rate, Current: channel.Limit,
			InFlight: channel.InFlight,
			State:    api.ChannelState(channel.State), Reason: channel.Reason, Since: channel.Since, NextTryAt: channel.RetryAt, LastError: channel.LastError,
			Held: channel.Held}
		if channel.Held {
			ch.HeldReason, ch.HeldSince = channel.Reason, channel.Since
		}
		if channel.Remote {
			ch.Workers = &channel.Places
		}
		if a := c.Application(channel.Application); a != nil {
			ch.Driver, ch.Concurrency = a.Channels[channel.Name].Driver, a.Channels[channel.Name].Concurrency
		}
		s.Channels = append(s.Channels, ch)
	}
	if svc.Cluster != nil {
		s.Cluster = svc.Cluster.ClusterStatus()
	}
	if s.Queue, err = svc.queue(stats); err != nil {
		return s, err
	}
	s.Slots, err = svc.slotFill(c)
	return s, err
}

func (svc *Service) inboxStatus(c *config.Config) []api.Inbox {
	counts, waits := svc.Watchers.Counts(), svc.Watchers.Waits()
	checking := map[string]int{}
	if heads, err := svc.Store.Sendings(store.Filter{States: []campaign.State{campaign.StateChecking}}); err == nil {
		for _, s := range heads {
			checking[s.Inbox]++
		}
	}
	list := make([]api.Inbox, 0, len(c.Inboxes))
	for _, in := range c.Inboxes {
		n := counts[in.Path]
		one := api.Inbox{Path: in.Path, Waiting: n.Pending, Checking: checking[in.Path], Others: n.Foreign + n.BadNames,
			LastScan: n.LookedAt.UTC(), Problem: n.Err}
		if err := svc.Inboxes.Present(in.Path); err != nil && one.Problem == "" {
			one.Problem = err.Error()
		}
		contents := svc.Intake.Waits(in.Path)
		one.Waiting += len(contents)
		for _, w := range slices.Concat(waits[in.Path], contents) {
			one.Waits = append(one.Waits, api.Wait{Name: w.Name, Reason: w.Reason, Since: w.Since.UTC()})
		}
		slices.SortStableFunc(one.Waits, func(a, b api.Wait) int { return a.Since.Compare(b.Since) })
		list = append(list, one)
	}
	return list
}

// queue counts the unsent messages of all active sendings.
func (svc *Service) queue(stats store.Stats) (api.Queue, error) {
	q := api.Queue{Pending: stats.Messages[campaign.Pending], Retrying: stats.Messages[campaign.Retrying], InFlight: uint64(svc.Dispatcher.InFlight())}
	_, next, err := svc.Store.Due(svc.Now())
	q.NextAt = next
	return q, err
}

func (svc *Service) slotFill(c *config.Config) ([]api.SlotFill, error) {
	var fills []api.SlotFill
	for i := range c.Applications {
		a := &c.Applications[i]
		if !a.Slicing.Enabled {
			continue
		}
		g := a.Grid()
		reserved, err := svc.Store.Reserved(a.ID, g.Slot, g.Number(svc.Now()), 1)
		if err != nil {
			return nil, err
		}
		fills = append(fills, api.SlotFill{ApplicationID: a.ID, Reserved: reserved[0], Capacity: g.Capacity})
	}
	return fills, nil
}

// Ready implements control.Upkeep.
func (svc *Service) Ready(context.Context) []api.Check {
	var checks []api.Check
	add := func(name, problem string) {
		checks = append(checks, api.Check{Name: name, OK: problem == "", Message: problem})
	}
	_, err := svc.Store.Stats()
	add("store", text(cmp.Or(err, svc.Store.Writable())))
	for path, n := range svc.Watchers.Counts() {
		add("inbox "+path, cmp.Or(n.Err, text(svc.Inboxes.Present(path))))
	}
	stopping := ""
	if svc.Stopping.Err() != nil {
		stopping = "the daemon is stopping"
	}
	add("dispatcher", stopping)
	if svc.Cluster != nil {
		s := svc.Cluster.ClusterStatus()
		if s.Problem == "" && s.Server == "" {
			s.Problem = "no NATS server answers"
		}
		add("workers", s.Problem)
		if s.Replication != nil {
			add("replication", s.Replication.Problem)
		}
	}
	slices.SortFunc(checks, func(a, b api.Check) int { return cmp.Compare(a.Name, b.Name) })
	return checks
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// findings are what the doctor found.
type findings []api.Finding

func (f *findings) add(check string, level api.Level, message, advice string) {
	*f = append(*f, api.Finding{Check: check, Level: level, Message: message, Advice: advice})
}

// storeFindings judges the store by what is wrong in it and by why its last write failed.
func storeFindings(wrong []string, unwritable error) (list findings) {
	for _, w := range wrong {
		list.add("store", api.LevelFail, w, "keep a copy of the file, stop the daemon and restore the newest backup")
	}
	if unwritable != nil {
		list.add("store", api.LevelFail, "nothing can be recorded, so nothing is sent: "+unwritable.Error(), cmp.Or(safeio.Advice(unwritable), "see the daemon's log"))
	}
	if len(list) == 0 {
		list.add("store", api.LevelOK, "its counts are consistent", "")
	}
	return list
}

// Doctor implements control.Upkeep.
func (svc *Service) Doctor(ctx context.Context, deep bool) ([]api.Finding, error) {
	c := svc.Config()
	list := storeFindings(svc.Store.Verify(deep), svc.Store.Writable())
	if free, err := safeio.FreeSpace(c.StateDir); err == nil && free < control.LowSpace {
		list.add("disk", api.LevelWarn, fmt.Sprintf("%s MiB are free on the store's file system", display.Number(free>>20)), "free some space: a new drop waits until its own size plus 64 MiB are free")
	} else {
		list.add("disk", api.LevelOK, fmt.Sprintf("%s MiB are free on the store's file system", display.Number(free>>20)), "")
	}
	for _, in := range c.Inboxes {
		if err := svc.Inboxes.Prepare(in.Path); err != nil {
			advice := "give the daemon's user read and write permission on the inbox, and keep accepted/ on the same mount"
			switch {
			case errors.Is(err, fs.ErrNotExist):
				advice = "make the folder " + in.Path + ", or mount its disk: campaignd doesn't make it, since its disk may only be away, and continues once it is there"
			case errors.Is(err, folders.ErrNotInbox):
				advice = "mount its disk, and everything continues; if the folder was replaced on purpose, run: campaignd inbox accept " + in.Path
			}
			list.add("inbox", api.LevelFail, err.Error(), advice)
		} else {
			list.add("inbox", api.LevelOK, in.Path+" can be read and written", "")
		}
	}
	if unknown := svc.Intake.UnknownFolders(); len(unknown) > 0 {
		list.add("folders", api.LevelWarn, fmt.Sprintf("%s in accepted/ without a sending that is under way, such as %s", display.Amount(len(unknown), "folder"), unknown[0]),
			"find out what happened to each, then move its files back into the inbox or remove the folder")
	}
	campaigns, broken, err := check.NewCampaigns(c.CampaignsDir).All()
	switch {
	case err != nil:
		list.add("campaigns", api.LevelFail, err.Error(), "create the folder or fix campaigns_dir")
	case broken.Count > 0:
		for _, p := range broken.List {
			list.add("campaigns", api.LevelFail, p.String(), "fix the file; it is read again automatically")
		}
	default:
		list.add("campaigns", api.LevelOK, fmt.Sprintf("%d can be read", len(campaigns)), "")
	}
	if _, problems := c.Reload(); problems.Count > 0 {
		for _, p := range problems.List {
			list.add("configuration", api.LevelFail, p.String(), "fix the file, then run: campaignd config reload")
		}
	} else {
		list.add("configuration", api.LevelOK, c.File+" is valid", "")
	}
	for _, channel := range svc.Dispatcher.Channels() {
		list = append(list, channelFinding(channel))
	}
	held, err := svc.Store.Sendings(store.Filter{States: []campaign.State{campaign.StateHeld}})
	if err != nil {
		return nil, err
	}
	list = append(list, heldFindings(held, svc.Dispatcher.HeldUntil)...)
	if svc.Cluster != nil {
		list = append(list, svc.Cluster.ClusterFindings(ctx)...)
	}
	optOuts, err := svc.optOutFindings(deep)
	if err != nil {
		list.add("opt-outs", api.LevelFail, err.Error(), "keep a copy of the file, stop the daemon and restore the newest backup")
	}
	list = append(list, optOuts...)
	if newest, err := svc.Store.Sendings(store.Filter{Limit: 1}); err == nil && len(newest) == 1 && newest[0].ReceivedAt.After(svc.Now().Add(time.Minute)) {
		list.add("clock", api.LevelWarn, "the newest sending was received in the future: the clock was set back", "check that the time is synchronized")
	} else {
		list.add("clock", api.LevelOK, "no sending was received in the future", "")
	}
	return list, nil
}

// Audit implements control.Upkeep.
func (svc *Service) Audit(_ context.Context, f api.AuditFilter) ([]api.AuditEntry, error) {
	var list []api.AuditEntry
	err := svc.Store.EachAudit(f.Since, func(e store.AuditEntry) error {
		if f.Sending == "" || e.Sending == f.Sending {
			list = append(list, api.AuditEntry{At: e.At, Who: e.Who, Action: e.Action, Sending: e.Sending, Detail: e.Detail})
		}
		return nil
	})
	slices.Reverse(list)
	if f.Limit > 0 && len(list) > f.Limit {
		list = list[:f.Limit]
	}
	return list, err
}

// Backup implements control.Upkeep.
func (svc *Service) Backup(_ context.Context, w io.Writer) error { return svc.Store.Backup(w) }

func (svc *Service) compact(ctx context.Context, who string) (store.Compacted, error) {
	either, cancel := context.WithCancel(svc.Stopping) // what is in flight can't be recorded before the compaction ends
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	done, err := svc.Store.Compact(either)
	if errors.Is(err, context.Canceled) && svc.Stopping.Err() != nil {
		return done, api.Unavailablef("the daemon is stopping: the store isn't compacted")
	}
	if err != nil {
		return done, err
	}
	svc.Log.Info("store compacted", "bytesBefore", done.Before, "bytesAfter", done.After,
		"took", done.Took.Round(time.Millisecond).String(), "who", who)
	return done, svc.Store.Audit(store.AuditEntry{Who: who, Action: "compact"})
}

// Handover implements control.Upkeep.
func (svc *Service) Handover(_ context.Context, who string) (api.Handover, error) {
	if svc.Cluster == nil {
		return api.Handover{}, api.Conflictf("there is no standby: the configuration has no table [nats]")
	}
	return svc.Cluster.Handover(func() error { return svc.Store.Audit(store.AuditEntry{Who: who, Action: "handover"}) })
}

// Compact implements control.Upkeep.
func (svc *Service) Compact(ctx context.Context, who string) (api.Compacted, error) {
	done, err := svc.compact(ctx, who)
	if errors.Is(err, store.ErrBusy) {
		return api.Compacted{}, api.Conflictf("%v", err)
	}
	return api.Compacted{BytesBefore: done.Before, BytesAfter: done.After, Seconds: done.Took.Seconds(), HeldSeconds: done.Took.Seconds()}, err
}
