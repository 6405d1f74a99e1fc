package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
)

func newCampaignCmd(env *environment) *cobra.Command {
	return subcommands(&cobra.Command{
		Use:   "campaign",
		Short: "List, show, check and preview campaigns",
		Long: `Reads the campaign files as the daemon does, and shows messages as their recipients
will see them. No daemon needs to run, and nothing is sent.`,
	}, newCampaignListCmd(env), newCampaignShowCmd(env), newCampaignCheckCmd(env), newCampaignPreviewCmd(env), newCampaignTemplatesCmd(env))
}

// parseCampaignID reads the id of a campaign.
func parseCampaignID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) && id > 0 {
		return 0, usage("found %q, which is too large: the largest number is %d", text, id)
	}
	if err != nil || id < 1 {
		return 0, usage("found %q, want a campaign's id, such as 7; \"campaignd campaign list\" lists them", text)
	}
	return id, nil
}

// findCampaign returns the campaign with the id. application may be 0 where only one
// application has such a campaign. The error says which there are.
func findCampaign(cfg *config.Config, campaigns *check.Campaigns, id, application int64) (*campaign.Campaign, error) {
	all, _, err := campaigns.All()
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	if application == 0 {
		var owners []int64
		for _, c := range all {
			if c.ID == id {
				owners = append(owners, c.ApplicationID)
			}
		}
		slices.Sort(owners)
		owners = slices.Compact(owners)
		if len(owners) > 1 {
			return nil, usage("applications %s have a campaign %d: name one with --application", display.Numbers(owners), id)
		}
		if len(owners) == 1 {
			application = owners[0]
		}
	}
	if application != 0 {
		if cfg.Application(application) == nil {
			return nil, unknownApplication(cfg, application)
		}
		found, why, details, err := campaigns.Find(application, id)
		if err == nil && found == nil {
			err = usage("%s", whyWithDetails(why, details))
		}
		return found, err
	}
	// No readable file has it; one that can't be read may.
	for _, a := range cfg.Applications {
		if _, why, details, err := campaigns.Find(a.ID, id); err == nil && details.Count > 0 {
			return nil, usage("%s", whyWithDetails(why, details))
		}
	}
	var known []int64
	for _, c := range all {
		known = append(known, c.ID)
	}
	slices.Sort(known)
	return nil, usage("there is no campaign %d in %s; there are: %s", id, cfg.CampaignsDir, cmp.Or(display.Numbers(slices.Compact(known)), "none"))
}

// unknownApplication says that the configuration doesn't have an application, and which it has.
func unknownApplication(cfg *config.Config, id int64) error {
	var ids []int64
	for _, a := range cfg.Applications {
		ids = append(ids, a.ID)
	}
	return usage("there is no application %d; there are: %s", id, display.Numbers(ids))
}

// whyWithDetails adds the problems of a campaign's file to the reason why it can't be used.
func whyWithDetails(why string, details campaign.Problems) string {
	for _, p := range details.List {
		why += "\n  " + p.String()
	}
	return why
}
