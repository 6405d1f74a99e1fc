package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"

	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/control/dashboard"
)

// serve answers on the socket and, if configured, over HTTP.
func (d *Daemon) serve(ctx context.Context, listening chan<- struct{}) error {
	if d.opts.Quiet {
		close(listening)
		<-ctx.Done()
		return nil
	}
	c := d.current()
	pages, err := dashboard.New(d, d.log)
	if err != nil {
		return err
	}
	o := controlOptions(c, d.opts.Getenv, d.log)
	o.Partners, o.Registry, o.Pages, o.Hooks, o.Bars = d.partnerTokens, d.registry, pages, d.hooks.Handlers(), d.unrecorded()
	o.OnListen = func(socket, web string) {
		d.log.Info("listening", "socket", socket, "http", web)
		close(listening)
	}
	return control.New(d, o).Run(ctx)
}

// controlOptions returns the options of socket and HTTP that are in the configuration.
func controlOptions(c *config.Config, getenv func(string) string, log *slog.Logger) control.Options {
	return control.Options{
		Socket: control.SocketPath(c.StateDir), Group: c.SocketGroup, Listen: c.Listen, TokenFile: c.TokenFile,
		StateToken: filepath.Join(c.StateDir, tokenName), MetricsToken: c.MetricsToken, TrustedProxies: proxies(c.TrustedProxies),
		Getenv: getenv, Log: log,
	}
}

// proxies parses trusted_proxies, which the configuration has checked.
func proxies(list []string) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range list {
		if address, err := netip.ParseAddr(text); err == nil {
			networks = append(networks, netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()))
		} else if network, err := netip.ParsePrefix(text); err == nil {
			networks = append(networks, network)
		}
	}
	return networks
}
