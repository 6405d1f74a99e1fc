package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/preview"
)

// campaignDetails is the output of "campaign show --json".
type campaignDetails struct {
	campaignSummary
	MessageContent []contentJSON `json:"messageContent"`
}

type contentJSON struct {
	ChannelType string          `json:"channelType,omitempty"`
	Item        json.RawMessage `json:"item"`
}

func newCampaignShowCmd(env *environment) *cobra.Command {
	var application int64
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a campaign and its messages",
		Long: `Shows a campaign: its channels, its variables, and its messages as recipients will see
them, with {{variables}} where their values go. "campaign preview" fills them in.`,
		Example:           "  campaignd campaign show 7",
		Args:              given(1, 1, "name one campaign by its id"),
		ValidArgsFunction: env.completeCampaign,
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := parseCampaignID(args[0])
			if err != nil {
				return err
			}
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			c, err := findCampaign(cfg, check.NewCampaigns(cfg.CampaignsDir), id, application)
			if err != nil {
				return err
			}
			if env.json {
				d := campaignDetails{campaignSummary: summaryOf(c)}
				for _, one := range c.Contents {
					d.MessageContent = append(d.MessageContent, contentJSON(one))
				}
				return env.printJSON(d)
			}
			return printCampaign(env, c)
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "the application's `id`, if several have such a campaign")
	return cmd
}

func printCampaign(env *environment, c *campaign.Campaign) error {
	s := summaryOf(c)
	title := fmt.Sprintf("Campaign %d of application %d", c.ID, c.ApplicationID)
	if c.Title != "" {
		title += ": " + c.Title
	}
	env.printf("%s\n", env.bold(printable(title)))
	env.facts(
		[2]string{"state", s.use()},
		[2]string{"file", c.File},
		[2]string{"channels", strings.Join(c.ChannelTypes, ", ")},
		[2]string{"variables", strings.Join(s.Variables, ", ")},
	)
	return env.lines(contentLines(c))
}

// contentLines shows a campaign's messages with their variables, for every channel that gets
// messages of its own.
func contentLines(c *campaign.Campaign) []string {
	var out []string
	add := func(where string, contents []campaign.Content) {
		for i, one := range contents {
			title := fmt.Sprintf("Message %d%s:", i+1, where)
			out = append(out, "", printable(title))
			for _, line := range preview.Message(string(one.Item)) {
				out = append(out, "  "+printable(line))
			}
		}
	}
	for _, one := range c.Contents {
		if one.ChannelType != "" {
			for _, channel := range c.ChannelTypes {
				add(" on "+channel, campaign.ContentsFor(c.Contents, channel))
			}
			return out
		}
	}
	add("", c.Contents)
	return out
}
