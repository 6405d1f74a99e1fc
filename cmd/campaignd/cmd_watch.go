package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func newWatchCmd(env *environment) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "watch [SENDING]",
		Short: "Follow sendings while they go out",
		Long: `Follows one sending until it ends, or every active sending until Ctrl-C. On a
terminal it draws a progress bar per sending, elsewhere it prints a line per change.
With --json it prints one JSON object per line.`,
		Example:           "  campaignd watch             all sendings\n  campaignd watch spring      the newest sending of the drop spring.csv, until it ends",
		Args:              given(0, 1, "name one sending, or none to follow all"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < 100*time.Millisecond {
				return usage("--every is %s, want 100ms or more", every)
			}
			c, cfg, err := env.clientAndConfig()
			if err != nil {
				return err
			}
			defer c.Close()
			w := &watcher{client: c, every: every}
			if len(args) == 1 {
				d, err := c.Sending(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				w.only = d.ID
				env.useZone(cfg, d.ApplicationID)
			}
			var view view = &lineView{env: env}
			if env.terminal && !env.json {
				view = newBarView(env)
			}
			return w.run(cmd.Context(), view)
		},
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "time between two updates")
	return cmd
}

// view displays sendings as they change.
type view interface {
	// show receives every sending at every poll. changed reports whether it differs
	// from the poll before.
	show(s api.Sending, changed bool) error
	// end is called once, after the last show.
	end()
}

// watcher polls sendings.
type watcher struct {
	client *control.Client
	every  time.Duration
	only   campaign.ID // "" for all
	seen   map[campaign.ID]api.Sending
}

// run polls until the watched sending ends or ctx is done.
func (w *watcher) run(ctx context.Context, v view) error {
	defer v.end()
	w.seen = map[campaign.ID]api.Sending{}
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		list, err := w.poll(ctx)
		if ctx.Err() != nil {
			return nil // Ctrl-C ends watching
		}
		if err != nil {
			return err
		}
		for _, s := range list {
			before, known := w.seen[s.ID]
			w.seen[s.ID] = s
			if err := v.show(s, !known || differs(before, s)); err != nil {
				return err
			}
			if s.State.Final() {
				if w.only != "" {
					return nil
				}
				delete(w.seen, s.ID)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// poll fetches the watched sendings: the active ones, and those that were active
// at the poll before.
func (w *watcher) poll(ctx context.Context) ([]api.Sending, error) {
	if w.only != "" {
		d, err := w.client.Sending(ctx, string(w.only))
		return []api.Sending{d.Sending}, err
	}
	list, err := w.client.Sendings(ctx, api.Filter{States: openStates()})
	if err != nil {
		return nil, err
	}
	open := map[campaign.ID]bool{}
	for _, s := range list {
		open[s.ID] = true
	}
	for id := range w.seen {
		if open[id] {
			continue
		}
		d, err := w.client.Sending(ctx, string(id))
		if api.CodeOf(err) == api.CodeNotFound {
			delete(w.seen, id)
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, d.Sending)
	}
	return list, nil
}

// differs ignores fields that change by themselves, such as rate and estimates.
func differs(a, b api.Sending) bool {
	newError := a.LastError == nil && b.LastError != nil || a.LastError != nil && b.LastError != nil && *a.LastError != *b.LastError
	return a.State != b.State || a.Reason != b.Reason || a.Messages != b.Messages || newError || !sameWait(a.WaitsFor, b.WaitsFor)
}

// sameWait reports whether a wait is still the same. Its end is left out while what it waits for is tried.
func sameWait(before, now *campaign.WaitsFor) bool {
	if before == nil || now == nil {
		return before == now
	}
	w := *now
	if w.Until.IsZero() {
		w.Until = before.Until
	}
	return w == *before
}
