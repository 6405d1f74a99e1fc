package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func newWatchCmd(env *environment) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "watch [SENDING]",
		Short: "Follow sendings while they go out",
		Long: `Follows one sending until it is over, or all that are not over until Ctrl-C: a
progress bar each on a terminal, else a line at every change. With --json, one
JSON object a line.`,
		Example:           "  campaignd watch             all sendings\n  campaignd watch spring      the newest sending of the drop spring.csv, until it is over",
		Args:              given(0, 1, "name one sending, or none to follow all"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < 100*time.Millisecond {
				return usage("--every is %s where 100ms or more is right", every)
			}
			c, err := env.client()
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
			}
			var view view = &lineView{env: env}
			if env.terminal && !env.json {
				view = newBarView(env)
			}
			return w.run(cmd.Context(), view)
		},
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often to look")
	return cmd
}

// view shows sendings as they change.
type view interface {
	// show is told every sending at every look. changed is false where nothing
	// is new since the look before.
	show(s control.Sending, changed bool) error
	// end is told once that no more comes.
	end()
}

// watcher looks at the sendings again and again.
type watcher struct {
	client *control.Client
	every  time.Duration
	only   campaign.ID // "" for all
	seen   map[campaign.ID]control.Sending
}

// run looks until the one sending is over, or ctx ends.
func (w *watcher) run(ctx context.Context, v view) error {
	defer v.end()
	w.seen = map[campaign.ID]control.Sending{}
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		list, err := w.look(ctx)
		if ctx.Err() != nil {
			return nil // Ctrl-C is how one stops watching
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

// look asks for what is watched: what is not over, and what was not at the last look.
func (w *watcher) look(ctx context.Context) ([]control.Sending, error) {
	if w.only != "" {
		d, err := w.client.Sending(ctx, string(w.only))
		return []control.Sending{d.Sending}, err
	}
	list, err := w.client.Sendings(ctx, control.Filter{States: openStates()})
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
		if control.CodeOf(err) == control.CodeNotFound {
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

// differs leaves aside what changes by itself.
func differs(a, b control.Sending) bool {
	newError := a.LastError == nil && b.LastError != nil || a.LastError != nil && b.LastError != nil && *a.LastError != *b.LastError
	return a.State != b.State || a.Reason != b.Reason || a.Messages != b.Messages || newError
}
