package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
)

// completeSending completes the ids of recent sendings, each with its name. It
// offers nothing when no daemon is running.
func (env *environment) completeSending(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := env.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	const recent = 50
	found, err := c.Sendings(cmd.Context(), api.Filter{Limit: recent})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, s := range found {
		offers = append(offers, cobra.CompletionWithDesc(string(s.ID), printable(fmt.Sprintf("%s, %s", s.Name, s.State))))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeCampaign completes the ids of campaigns, each with its title, and files after the first argument.
func (env *environment) completeCampaign(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return env.configured(campaignIDs)
}

// completeFlags makes every command complete the values of flags that choose among a few.
func (env *environment) completeFlags(cmd *cobra.Command) {
	offer := func(values func(*config.Config) []cobra.Completion) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return env.configured(values)
		}
	}
	offers := map[string]cobra.CompletionFunc{
		"state":       fixed(campaign.States),
		"outcome":     fixed(campaign.FinalOutcomes),
		"condition":   fixed(campaign.Conditions),
		"application": offer(applicationIDs),
		"campaign":    offer(campaignIDs),
		"channel":     offer(channelNames),
		"inbox":       offer(inboxNames),
	}
	for _, sub := range cmd.Commands() {
		sub.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if offers[f.Name] != nil {
				_ = sub.RegisterFlagCompletionFunc(f.Name, offers[f.Name]) // the flag exists and has none yet
			}
		})
		env.completeFlags(sub)
	}
}

// fixed completes the given values, in their order.
func fixed[T any](values []T) cobra.CompletionFunc {
	var texts []cobra.Completion
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return cobra.FixedCompletions(texts, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
}

// configured completes what the configuration names, and nothing if it can't be read.
func (env *environment) configured(values func(*config.Config) []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	path, err := env.findConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cfg, problems := config.Load(path, env.drivers)
	if problems.Count > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return values(cfg), cobra.ShellCompDirectiveNoFileComp
}

func applicationIDs(cfg *config.Config) (offers []cobra.Completion) {
	for _, a := range cfg.Applications {
		offers = append(offers, cobra.CompletionWithDesc(fmt.Sprint(a.ID), printable(a.Name)))
	}
	return offers
}

func campaignIDs(cfg *config.Config) (offers []cobra.Completion) {
	campaigns, _, _ := check.NewCampaigns(cfg.CampaignsDir).All() // without the folder there are none
	for _, c := range campaigns {
		offers = append(offers, cobra.CompletionWithDesc(fmt.Sprint(c.ID), printable(c.Title)))
	}
	return offers
}

func channelNames(cfg *config.Config) (offers []cobra.Completion) {
	for _, a := range cfg.Applications {
		offers = slices.AppendSeq(offers, maps.Keys(a.Channels))
	}
	slices.Sort(offers)
	return slices.Compact(offers)
}

func inboxNames(cfg *config.Config) (offers []cobra.Completion) {
	for _, in := range cfg.Inboxes {
		offers = append(offers, filepath.Clean(in.Path))
	}
	return offers
}
