package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/report"
)

// dropAnswer is the output of "drop --json".
type dropAnswer struct {
	Name    string           `json:"name"`
	Inbox   string           `json:"inbox"`
	Dropped bool             `json:"dropped"`
	Check   *report.Document `json:"check"`             // the keys of report.json, before the drop
	Sending *api.Sending     `json:"sending,omitempty"` // at its end, with --wait
}

// afterDrop says what comes next, and follows the sending with wait.
func (env *environment) afterDrop(ctx context.Context, cfg *config.Config, d *handDrop, answer dropAnswer, wait bool) error {
	answer.Dropped = true
	c, err := dial(cfg)
	if err == nil {
		defer c.Close()
	}
	if !wait {
		if env.json {
			return env.printJSON(answer)
		}
		next := fmt.Sprintf("the daemon takes it within seconds; \"campaignd watch %s\" follows it", d.name)
		if err != nil {
			next = "no daemon is running, so it is taken when one starts"
		}
		return env.printf("%s\n", printable(fmt.Sprintf("Dropped %s into %s: %s.", d.name, d.inbox.Path, next)))
	}
	if err != nil {
		return fmt.Errorf("dropped %s into %s, and can't wait for it: %w", d.name, d.inbox.Path, err)
	}
	ended, err := env.followDrop(ctx, c, d)
	if err != nil {
		return err
	}
	if env.json {
		answer.Sending = &ended.Sending
		env.printJSON(answer)
	} else {
		env.printf("%s\n", printable(fmt.Sprintf("Its files are in %s.", ended.Folder)))
	}
	switch ended.State {
	case campaign.StateCompleted:
		return nil
	case campaign.StateRejected:
		return exitError{code: exitProblems}
	}
	return exitError{code: exitFailed}
}

// followDrop waits until the daemon has taken the drop and follows the sending to its end.
func (env *environment) followDrop(ctx context.Context, c *control.Client, d *handDrop) (api.Details, error) {
	if !env.json {
		env.printf("Dropped %s into %s.\n", printable(d.name), printable(d.inbox.Path))
	}
	const every = 250 * time.Millisecond
	id, err := env.takenAs(ctx, c, d, every)
	if err != nil {
		return api.Details{}, err
	}
	w := &watcher{client: c, every: every, only: id}
	var v view = silentView{}
	switch {
	case env.json:
	case env.terminal:
		v = newBarView(env)
	default:
		v = &lineView{env: env}
	}
	if err := w.run(ctx, v); err != nil {
		return api.Details{}, err
	}
	if ctx.Err() != nil {
		return api.Details{}, fmt.Errorf("stopped waiting; the sending %s goes on, \"campaignd cancel %s\" ends it", id, id)
	}
	return env.filed(ctx, c, id, every)
}

// takenAs waits until the daemon has taken the drop, and returns its sending.
func (env *environment) takenAs(ctx context.Context, c *control.Client, d *handDrop, every time.Duration) (campaign.ID, error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	said := ""
	for {
		list, err := c.Sendings(ctx, api.Filter{Name: d.name, Since: d.starting})
		for _, s := range list {
			if err == nil && s.Name == d.name && s.Inbox == d.inbox.Path {
				return s.ID, nil
			}
		}
		if err == nil && !env.json {
			said, err = env.sayWait(ctx, c, d, said)
		}
		if err != nil && ctx.Err() == nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", errors.New("stopped waiting; the drop stays in its inbox until the daemon takes it")
		case <-ticker.C:
		}
	}
}

// sayWait prints why the daemon hasn't taken the drop, once per reason.
func (env *environment) sayWait(ctx context.Context, c *control.Client, d *handDrop, said string) (string, error) {
	status, err := c.Status(ctx)
	if err != nil {
		return said, err
	}
	for _, in := range status.Inboxes {
		for _, w := range in.Waits {
			if in.Path == d.inbox.Path && w.Name == d.name && w.Reason != said {
				said = w.Reason
				env.printf("%s\n", printable("It waits: "+w.Reason))
			}
		}
	}
	return said, nil
}

// filed waits until the ended sending's folder has moved, so that its reports are complete.
func (env *environment) filed(ctx context.Context, c *control.Client, id campaign.ID, every time.Duration) (api.Details, error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		details, err := c.Sending(ctx, string(id))
		if err != nil || !inAccepted(details.Folder) {
			return details, err
		}
		select {
		case <-ctx.Done():
			return details, nil
		case <-ticker.C:
		}
	}
}

// silentView shows nothing, for --json.
type silentView struct{}

func (silentView) show(api.Sending, bool) error { return nil }
func (silentView) end()                         {}

// inAccepted reports whether a sending's folder is where it is while it is scheduled or sending.
func inAccepted(folder string) bool { return filepath.Base(filepath.Dir(folder)) == "accepted" }
