package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/display"
	"campaignd/internal/plan/document"
)

// campaignSummary is one campaign in the output of "campaign list --json".
type campaignSummary struct {
	ID            int64    `json:"id"`
	ApplicationID int64    `json:"applicationId"`
	Title         string   `json:"title"`
	Enabled       bool     `json:"enabled"`
	SendType      string   `json:"sendType"`
	ChannelTypes  []string `json:"channelTypes"`
	Messages      int      `json:"messages"` // most that a recipient gets
	Variables     []string `json:"variables"`
	File          string   `json:"file"`
}

func summaryOf(c *campaign.Campaign) campaignSummary {
	s := campaignSummary{ID: c.ID, ApplicationID: c.ApplicationID, Title: c.Title, Enabled: c.Enabled, SendType: c.SendType,
		ChannelTypes: c.ChannelTypes, Variables: append([]string{}, document.Variables(c.Contents)...), File: c.File}
	for _, channel := range c.ChannelTypes {
		s.Messages = max(s.Messages, len(campaign.ContentsFor(c.Contents, channel)))
	}
	return s
}

// use says whether a drop can send the campaign.
func (s campaignSummary) use() string {
	switch {
	case !s.Enabled:
		return "disabled"
	case s.SendType != "proactive":
		return s.SendType
	}
	return "ready"
}

func newCampaignListCmd(env *environment) *cobra.Command {
	var application int64
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the campaigns",
		Long: `Lists the campaigns of every application with their channels and variables. Files that
can't be used follow with their errors.`,
		Example: "  campaignd campaign list\n  campaignd campaign list --application 1",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			all, broken, err := check.NewCampaigns(cfg.CampaignsDir).All()
			if err != nil {
				return exitError{exitUsage, err}
			}
			list := []campaignSummary{}
			for _, c := range all {
				if application == 0 || c.ApplicationID == application {
					list = append(list, summaryOf(c))
				}
			}
			slices.SortFunc(list, func(a, b campaignSummary) int {
				return cmp.Or(cmp.Compare(a.ApplicationID, b.ApplicationID), cmp.Compare(a.ID, b.ID), strings.Compare(a.File, b.File))
			})
			if env.json {
				return env.printJSON(struct {
					Campaigns []campaignSummary  `json:"campaigns"`
					Errors    []campaign.Problem `json:"errors,omitempty"` // of files that can't be used
				}{list, broken.List})
			}
			return printCampaigns(env, list, broken)
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "only this application's `id`")
	return cmd
}

func printCampaigns(env *environment, list []campaignSummary, broken campaign.Problems) error {
	if len(list) == 0 {
		env.printf("There are no campaigns.\n")
	} else {
		g := grid{header: []string{"application", "id", "title", "state", "channels", "messages", "variables"}, right: []int{0, 1, 5}, wrap: 3, drop: []int{5, 4, 6}}
		for _, s := range list {
			g.add(fmt.Sprint(s.ApplicationID), fmt.Sprint(s.ID), s.Title, s.use(), strings.Join(s.ChannelTypes, ", "), display.Number(s.Messages), strings.Join(s.Variables, ", "))
		}
		env.printGrid(g)
	}
	return printProblems(env, "Files that can't be used", broken.List, broken.Count)
}
