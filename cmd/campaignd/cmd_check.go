package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/plan"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/watch"
)

func newCheckCmd(env *environment) *cobra.Command {
	var inbox string
	cmd := &cobra.Command{
		Use:        "check FILES...",
		SuggestFor: []string{"plan", "validate"},
		Short:      "Check a drop without sending it",
		Long: `Checks the files of one drop as the daemon would: layout, sidecar, campaign and
every row. It prints when the drop would be sent and its first messages, or every
error. Nothing is stored, moved or sent. If files are missing, or one has nearly the right
name, it says what the drop would wait for, and checks the present ones. A list of opt-outs (NAME.suppress.csv) gets the answer that it would get in the inbox.

Without a running daemon the check assumes empty slots and can't know whether the
same files were accepted before. With one, the check uses its reservations and
its history. Exit status 3: the drop would wait, be rejected or canceled, or the list has lines that opt out nobody.`,
		Example: "  campaignd check spring.csv spring.layout.json spring.schedule.json\n  campaignd check inbox/examples/1-*",
		Args:    given(1, unlimited, "name the files of a drop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			return checkDrop(cmd.Context(), env, cfg, inbox, env.paths(args))
		},
	}
	cmd.Flags().StringVar(&inbox, "inbox", "", "check as if dropped into this `inbox` (default: the inbox that contains the files, else the first one)")
	return cmd
}

func checkDrop(ctx context.Context, env *environment, cfg *config.Config, inboxPath string, paths []string) error {
	in, err := env.checkInbox(cfg, inboxPath, paths[0])
	if err != nil {
		return err
	}
	if name := watch.ParseName(filepath.Base(paths[0])); len(paths) == 1 && name.Kind == watch.KindControl && name.Action == watch.ActionSuppress {
		return checkOptOuts(ctx, env, cfg, in, paths[0])
	}
	given, err := sortFiles(in, paths)
	if err != nil {
		return err
	}
	c, err := checkGiven(ctx, env, cfg, given)
	if err != nil {
		return err
	}
	if err := c.print(env); err != nil {
		return err
	}
	if c.Sending.State == campaign.StateRejected || c.Sending.State == campaign.StateCanceled {
		return exitError{code: exitProblems}
	}
	return nil
}

// checkGiven checks the files of one drop, their names included.
func checkGiven(ctx context.Context, env *environment, cfg *config.Config, given *givenFiles) (*checked, error) {
	if len(given.parts) == 0 {
		return given.notes(), nil
	}
	parts, err := openDrop(given.parts)
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	c, err := checkParts(ctx, env, cfg, given.in, parts)
	if err == nil {
		given.judge(c, time.Now())
	}
	return c, err
}

// checkParts checks a drop as the daemon would if it lay in the inbox.
func checkParts(ctx context.Context, env *environment, cfg *config.Config, in *config.Inbox, parts *check.Parts) (*checked, error) {
	checker, err := env.checker(cfg)
	if err != nil {
		return nil, err
	}
	// De-duplication reads rows back from this file. Without one they stay in memory.
	var spill recipients.Spill
	if file, err := check.SpillFile(""); err == nil {
		defer file.Close()
		spill = file
	}
	now := time.Now()
	f, err := checker.Check(ctx, parts, in, nil, now, nil, spill, nil)
	if err != nil {
		return nil, err
	}
	c := &checked{Sending: f.Sending}
	c.Sending.Inbox, c.Sending.ReceivedAt = in.Path, now.UTC()
	if f.Application != nil {
		env.useZone(cfg, f.Application.ID)
	}
	if !f.Wrong() {
		if err := c.place(ctx, cfg, f, now); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkInbox returns the inbox whose rules apply to the files.
func (env *environment) checkInbox(cfg *config.Config, named, file string) (*config.Inbox, error) {
	if named != "" {
		return env.namedInbox(cfg, named)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, exitError{exitUsage, fmt.Errorf("find file: %w", err)}
	}
	for i := range cfg.Inboxes {
		path, err := filepath.Abs(cfg.Inboxes[i].Path)
		if err == nil && strings.HasPrefix(absolute, path+string(filepath.Separator)) {
			return &cfg.Inboxes[i], nil
		}
	}
	if len(cfg.Inboxes) == 0 {
		return &config.Inbox{}, nil
	}
	return &cfg.Inboxes[0], nil
}

// checked is the result of a check.
type checked struct {
	Sending campaign.Sending
	Slices  []campaign.Slice
	Wait    *campaign.WaitsFor // nil for a drop that would be taken
	zone    *time.Location     // of the times in Wait; nil: UTC
	Notes   []string           // on files that belong to no drop, if there are no others
	Real    bool               // reservations come from a running daemon
	Earlier bool               // rejected as a drop that was accepted before
}

// place plans the drop: it sets state, time and slices.
func (c *checked) place(ctx context.Context, cfg *config.Config, f *check.Finding, now time.Time) error {
	s := &c.Sending
	s.State = campaign.StateScheduled
	o := f.Schedule(now, now)
	switch {
	case o.Problems.Count > 0:
		s.State, s.Reason, s.Previews = campaign.StateRejected, o.Problems.List[0].String(), nil
		s.Problems, s.ProblemCount = o.Problems.List, o.Problems.Count
		return nil
	case o.Canceled != "":
		s.State, s.Reason, s.Previews = campaign.StateCanceled, o.Canceled, nil
		return nil
	}
	if err := c.findDuplicate(ctx, cfg, f); err != nil || s.State == campaign.StateRejected {
		return err // the daemon, too, compares drops before it plans
	}
	s.ScheduledAt = o.T.UTC()
	if o.Grid == nil {
		c.Slices = []campaign.Slice{{Start: s.ScheduledAt, Rows: s.Rows.Accepted, Recipients: s.Rows.Accepted}}
		return nil
	}
	s.Sliced = true
	reserved, err := daemonReservations(ctx, cfg, s.ApplicationID, o)
	if err != nil {
		return err
	}
	c.Real = reserved != nil
	placed, noRoom, err := o.Place(reserved)
	switch {
	case errors.Is(err, plan.ErrTooManyMessages):
		s.State, s.Reason, s.Previews = campaign.StateRejected, err.Error(), nil
	case err != nil:
		return err
	case noRoom != "":
		s.State, s.Reason, s.Previews = campaign.StateCanceled, noRoom, nil
	default:
		c.Slices = plan.Slices(placed)
	}
	return nil
}

// findDuplicate asks a running daemon whether the same drop was accepted before,
// and rejects it if so.
func (c *checked) findDuplicate(ctx context.Context, cfg *config.Config, f *check.Finding) error {
	s := &c.Sending
	if f.Sidecar != nil && f.Sidecar.Resend {
		return nil
	}
	client, err := dial(cfg)
	if err != nil {
		return nil // no daemon is running
	}
	defer client.Close()
	earlier, err := client.Earlier(ctx, s.ApplicationID, s.Digest)
	if err != nil || earlier.ID == "" {
		return err
	}
	c.Earlier, s.State, s.Reason, s.Previews = true, campaign.StateRejected, earlier.Reason, nil
	return nil
}

// slotCounts maps a slot's number to its reserved messages. A nil map is an empty grid.
type slotCounts map[int64]uint32

// Reserved implements plan.Reservations.
func (b slotCounts) Reserved(first int64, counts []uint32) error {
	for i := range counts {
		counts[i] = b[first+int64(i)]
	}
	return nil
}

// daemonReservations returns the reservations of the running daemon, or nil if none is running.
func daemonReservations(ctx context.Context, cfg *config.Config, application int64, o check.Schedule) (slotCounts, error) {
	client, err := dial(cfg)
	if err != nil {
		return nil, nil
	}
	defer client.Close()
	// Advice tries every T until Latest, with the slots of its horizon.
	all, err := client.Reserved(ctx, application, o.T, o.Request.Latest.Add(plan.Horizon+o.Grid.Slot))
	if err != nil {
		return nil, err
	}
	if time.Duration(all.SlotSeconds)*time.Second != o.Grid.Slot {
		return nil, errors.New("the daemon uses another configuration: run \"campaignd config reload\", then check again")
	}
	counts := slotCounts{}
	for _, b := range all.Slots {
		counts[b.Slot] = b.Reserved
	}
	return counts, nil
}
