package daemon

import (
	"context"
	"net/netip"
	"path/filepath"

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
	server := control.New(d, control.Options{
		Socket: control.SocketPath(c.StateDir), Group: c.SocketGroup, Listen: c.Listen, TokenFile: c.TokenFile,
		StateToken: filepath.Join(c.StateDir, tokenName), Partners: d.partnerTokens, MetricsToken: c.MetricsToken, TrustedProxies: proxies(c.TrustedProxies),
		Getenv: d.opts.Getenv, Registry: d.registry, Pages: pages, Log: d.log,
		Hooks: d.hooks.Handlers(), Bars: d.unrecorded(),
		OnListen: func(socket, web string) {
			d.log.Info("listening", "socket", socket, "http", web)
			close(listening)
		},
	})
	return server.Run(ctx)
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
