package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
)

func newCampaignTemplatesCmd(env *environment) *cobra.Command {
	var application int64
	var channel string
	cmd := &cobra.Command{
		Use:   "templates",
		Short: "List the message templates that the channels' receivers have",
		Long: `Asks the receivers of all channels that have templates, such as WhatsApp channels with
business_account_id, and lists name, language, status, category and parameters. A running
daemon asks them; without one this command does, and must be able to read the channels'
secrets.`,
		Example: "  campaignd campaign templates\n  campaignd campaign templates --channel whatsapp --json",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := listTemplates(cmd.Context(), env, application, channel)
			if err != nil {
				return err
			}
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

// listTemplates lets a running daemon ask the receivers, because it can read the channels' secrets.
// Without one it asks them directly.
func listTemplates(ctx context.Context, env *environment, application int64, channel string) ([]api.ChannelTemplates, error) {
	cfg, err := env.loadConfig()
	if err != nil {
		return nil, err
	}
	client, err := dial(cfg)
	if err == nil {
		defer client.Close()
		return client.Templates(ctx, application, channel)
	}
	if !errors.Is(err, control.ErrNoDaemon) {
		return nil, err
	}
	drivers, err := daemon.OpenDrivers(cfg, env.getenv)
	if err != nil {
		return nil, exitError{exitUsage, fmt.Errorf("no daemon is running that could ask the channels' receivers, and this command can't do it itself: %w", err)}
	}
	return daemon.TemplatesOf(ctx, cfg, drivers, application, channel), nil
}

func printTemplates(env *environment, all []api.ChannelTemplates) error {
	failed := 0
	for _, one := range all {
		if one.Error != "" {
			failed++
		}
	}
	if env.json {
		env.printJSON(all)
	} else if err := writeTemplates(env, all); err != nil {
		return err
	}
	if failed > 0 {
		return exitError{code: exitFailed}
	}
	return nil
}

func writeTemplates(env *environment, all []api.ChannelTemplates) error {
	for i, one := range all {
		if i > 0 {
			env.printf("\n")
		}
		title := fmt.Sprintf("Channel %s of application %d", one.ChannelType, one.ApplicationID)
		if one.Error != "" {
			env.printf("%s: the templates can't be read: %s\n", title, printable(one.Error))
			continue
		}
		env.printf("%s: %s templates\n", title, display.Number(len(one.Templates)))
		g := grid{header: []string{"name", "language", "status", "category", "parameters"}, wrap: 5, drop: []int{3}}
		for _, t := range one.Templates {
			g.add(t.Name, t.Language, t.Status, t.Category, strings.Join(t.Parameters, ", "))
		}
		if len(one.Templates) > 0 {
			env.printGrid(g)
		}
	}
	return nil
}
