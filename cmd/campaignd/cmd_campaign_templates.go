package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/config"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
	"campaignd/internal/send"
)

// channelTemplates are the templates of a channel's receiver.
type channelTemplates struct {
	ApplicationID int64           `json:"applicationId"`
	ChannelType   string          `json:"channelType"`
	Templates     []send.Template `json:"templates"`
	Error         string          `json:"error,omitempty"` // why they can't be read
}

func newCampaignTemplatesCmd(env *environment) *cobra.Command {
	var application int64
	var channel string
	cmd := &cobra.Command{
		Use:   "templates",
		Short: "List the message templates that the channels' receivers have",
		Long: `Asks the receivers of all channels that have templates, such as WhatsApp channels with
business_account_id, and lists name, language, status, category and parameters. No daemon
needs to run; the channels' secrets must be readable.`,
		Example: "  campaignd campaign templates\n  campaignd campaign templates --channel whatsapp --json",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			drivers, err := daemon.OpenDrivers(cfg, env.getenv)
			if err != nil {
				return exitError{exitUsage, err}
			}
			all := listTemplates(cmd.Context(), cfg, drivers, application, channel)
			if len(all) == 0 {
				return exitError{exitUsage, errors.New("no channel lists templates: a WhatsApp channel needs business_account_id")}
			}
			return printTemplates(env, all)
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "only this application's `id`")
	cmd.Flags().StringVar(&channel, "channel", "", "only this `channel`")
	return cmd
}

func listTemplates(ctx context.Context, cfg *config.Config, drivers daemon.Drivers, application int64, channel string) (all []channelTemplates) {
	for _, a := range cfg.Applications {
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			lister, ok := drivers.Of(a.ID)[name].(send.TemplateLister)
			if !ok || application != 0 && application != a.ID || channel != "" && channel != name {
				continue
			}
			one := channelTemplates{ApplicationID: a.ID, ChannelType: name}
			list, ok, err := lister.Templates(ctx)
			if err != nil {
				one.Error = err.Error()
			}
			if one.Templates = append([]send.Template{}, list...); ok {
				all = append(all, one)
			}
		}
	}
	return all
}

func printTemplates(env *environment, all []channelTemplates) error {
	failed := 0
	for _, one := range all {
		if one.Error != "" {
			failed++
		}
	}
	if env.json {
		if err := env.printJSON(all); err != nil {
			return err
		}
	} else if err := writeTemplates(env, all); err != nil {
		return err
	}
	if failed > 0 {
		return exitError{code: exitFailed}
	}
	return nil
}

func writeTemplates(env *environment, all []channelTemplates) error {
	for i, one := range all {
		if i > 0 {
			if err := env.printf("\n"); err != nil {
				return err
			}
		}
		title := fmt.Sprintf("Channel %s of application %d", one.ChannelType, one.ApplicationID)
		if one.Error != "" {
			if err := env.printf("%s: the templates can't be read: %s\n", title, printable(one.Error)); err != nil {
				return err
			}
			continue
		}
		if err := env.printf("%s: %s templates\n", title, display.Number(len(one.Templates))); err != nil {
			return err
		}
		g := grid{header: []string{"name", "language", "status", "category", "parameters"}, wrap: 5, drop: []int{3}}
		for _, t := range one.Templates {
			g.add(t.Name, t.Language, t.Status, t.Category, strings.Join(t.Parameters, ", "))
		}
		if len(one.Templates) > 0 {
			if err := env.printGrid(g); err != nil {
				return err
			}
		}
	}
	return nil
}
