package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/service"
	"campaignd/internal/store"
	"campaignd/internal/webhooks"
)

// current returns the configuration in force.
func (d *Daemon) current() *config.Config {
	c, _, _ := d.loaded()
	return c
}

// loaded returns the configuration in force, when it was read, and why the last reload was refused.
func (d *Daemon) loaded() (c *config.Config, at time.Time, problem string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config, d.configAt, d.problem
}

// Reload implements control.Upkeep: it reads the whole configuration again. If it is invalid, the
// old one stays in force. The log names keys that only a restart can change.
func (d *Daemon) Reload(_ context.Context, who string) error {
	d.opts.Notify(reloading())
	defer d.opts.Notify("READY=1")
	old := d.current()
	c, problems := old.Reload()
	if problems.Count > 0 {
		d.reloadFailed(problems.List[0].String())
		d.log.Error("reload: the old configuration stays", "errors", problems.Count, "first", problems.List[0].String())
		for _, p := range problems.List[1:] {
			d.log.Error("reload: further error", "err", p.String())
		}
		return &api.Error{Code: api.CodeInvalid, Message: "the configuration is invalid; the old one stays in force", Problems: problems.List}
	}
	drivers, err := d.opts.Drivers(c, d.opts.Getenv)
	var table webhooks.Table
	if err == nil {
		table, err = d.hooks.Prepare(c, d.opts.Getenv)
	}
	var tokens map[string]string
	if err == nil {
		tokens, err = readPartnerTokens(c, d.opts.Getenv)
	}
	if err == nil {
		err = d.keepHub(old, c)
	}
	if err != nil {
		d.reloadFailed(err.Error())
		d.log.Error("reload: the old configuration stays", "err", err)
		return api.Invalidf("%v; the old configuration stays in force", err)
	}
	if c.StateDir != old.StateDir || c.Listen != old.Listen || c.TokenFile != old.TokenFile || c.SocketGroup != old.SocketGroup ||
		c.MetricsToken != old.MetricsToken || !slices.Equal(c.TrustedProxies, old.TrustedProxies) {
		d.log.Warn("reload: state_dir, listen, token_file, metrics_token, trusted_proxies and socket_group take effect at the next start")
		c.StateDir, c.Listen, c.TokenFile, c.SocketGroup = old.StateDir, old.Listen, old.TokenFile, old.SocketGroup
		c.MetricsToken, c.TrustedProxies = old.MetricsToken, old.TrustedProxies
	}
	if err := d.store.UseOptOutRules(service.OptOutRules(c, d.opts.Version)); err != nil {
		d.reloadFailed(err.Error())
		return fmt.Errorf("%w; the old configuration stays in force", err)
	}
	d.mu.Lock()
	d.config, d.configAt, d.problem, d.tokens = c, d.now(), "", tokens
	d.mu.Unlock()
	d.hooks.Use(table, c.Listen)
	d.refresher.use(drivers)
	d.send.Configure(d.applications(c, drivers))
	d.intake.Configure(d.checker(c, drivers))
	d.inboxes.configure(c)
	d.prepareInboxes(c)
	d.log.Info("reloaded", "config", c.File, "who", who)
	if err := d.store.Audit(store.AuditEntry{Who: who, Action: "reload", Detail: c.File}); err != nil {
		return fmt.Errorf("the new configuration is in force, but the audit trail lacks it: %w", err)
	}
	return nil
}

func (d *Daemon) reloadFailed(problem string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.problem = problem
}
