package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
	"campaignd/internal/plan/document"
	"campaignd/internal/send"
)

func newCampaignCheckCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE...",
		Short: "Check campaign files",
		Long: `Checks campaign files: their JSON, their keys, and whether their application's channels
can send their messages. The files need not be in campaigns_dir. Exit status 3: a file has
errors.`,
		Example: "  campaignd campaign check configs/campaigns/7.json",
		Args:    given(1, unlimited, "name campaign files"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			drivers, err := daemon.OpenDrivers(cfg, env.getenv)
			if err != nil {
				return exitError{exitUsage, err}
			}
			check := campaignCheck{cfg: cfg, drivers: drivers}
			answers := []checkedCampaign{}
			for _, path := range env.paths(args) {
				one, err := check.file(cmd.Context(), path)
				if err != nil {
					return exitError{exitUsage, err}
				}
				answers = append(answers, one)
			}
			return printCheckedCampaigns(env, answers)
		},
	}
}

// checkedCampaign is the result for one file.
type checkedCampaign struct {
	File     string             `json:"file"`
	Campaign *campaignSummary   `json:"campaign,omitempty"` // absent if the file can't be read
	Errors   []campaign.Problem `json:"errors"`
	Warnings []campaign.Problem `json:"warnings"`
	contents *campaign.Campaign
}

type campaignCheck struct {
	cfg     *config.Config
	drivers daemon.Drivers
}

// file checks one file.
func (c *campaignCheck) file(ctx context.Context, path string) (checkedCampaign, error) {
	answer := checkedCampaign{File: path, Errors: []campaign.Problem{}, Warnings: []campaign.Problem{}}
	data, err := readCampaignFile(path)
	if err != nil {
		return answer, err
	}
	camp, problems := document.ParseCampaign(filepath.Base(path), data)
	answer.Errors = append(answer.Errors, problems.List...)
	if camp == nil {
		return answer, nil
	}
	summary := summaryOf(camp)
	answer.Campaign, answer.contents = &summary, camp
	if problems.Count == 0 {
		c.channels(ctx, camp, &answer)
		c.others(path, camp, &answer)
	}
	return answer, nil
}

func readCampaignFile(path string) ([]byte, error) {
	f, err := openNamed(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, document.MaxSize+1))
	if err == nil && len(data) > document.MaxSize {
		err = fmt.Errorf("%s has more than the 1 MiB that a campaign file may have", path)
	}
	return data, err
}

// channels checks that the application's channels can send the messages.
func (c *campaignCheck) channels(ctx context.Context, camp *campaign.Campaign, answer *checkedCampaign) {
	wrong := func(field, format string, args ...any) {
		answer.Errors = append(answer.Errors, campaign.Problem{File: camp.File, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	app := c.cfg.Application(camp.ApplicationID)
	if app == nil {
		wrong("applicationId", "%v", unknownApplication(c.cfg, camp.ApplicationID))
		return
	}
	names := c.cfg.ChannelNames([]int64{app.ID})
	variables, usable := document.Variables(camp.Contents), 0
	for _, name := range camp.ChannelTypes {
		if !slices.Contains(names, name) {
			answer.Warnings = append(answer.Warnings, campaign.Problem{File: camp.File, Field: "channelTypes",
				Message: fmt.Sprintf("application %d has no channel %q; it has: %s%s", app.ID, name, strings.Join(names, ", "), meant(name, names, ""))})
			continue
		}
		usable++
		for i, content := range campaign.ContentsFor(camp.Contents, name) {
			driver := c.drivers.Of(app.ID)[name]
			_, err := driver.Compile(content.Item, variables)
			if checker, ok := driver.(send.ItemChecker); ok && err == nil {
				var doubts []string
				doubts, err = checker.CheckItem(ctx, content.Item)
				for _, doubt := range doubts {
					answer.Warnings = append(answer.Warnings, campaign.Problem{File: camp.File, Field: "messageContent", Message: fmt.Sprintf("message %d on %s: %s", i+1, name, doubt)})
				}
			}
			if media, ok := driver.(send.MediaChannel); ok && err == nil {
				_, err = media.Media(content.Item)
			}
			if err != nil {
				wrong("messageContent", "message %d can't be sent on %s: %v", i+1, name, err)
			}
		}
	}
	if usable == 0 {
		answer.Warnings = nil // one error says it all
		wrong("channelTypes", "application %d has none of the channels %s; it has: %s", app.ID, strings.Join(camp.ChannelTypes, ", "), strings.Join(names, ", "))
	}
}

// others refuses the number of another campaign of the folder.
func (c *campaignCheck) others(path string, camp *campaign.Campaign, answer *checkedCampaign) {
	all, _, err := check.NewCampaigns(c.cfg.CampaignsDir).All()
	if err != nil {
		return // the folder isn't what is checked
	}
	for _, other := range all {
		if other.ID == camp.ID && other.ApplicationID == camp.ApplicationID && other.File != filepath.Base(path) {
			answer.Errors = append(answer.Errors, campaign.Problem{File: camp.File, Field: "id",
				Message: fmt.Sprintf("%s defines campaign %d of application %d, too: give one of them another id", other.File, camp.ID, camp.ApplicationID)})
		}
	}
}

func printCheckedCampaigns(env *environment, answers []checkedCampaign) error {
	wrong := 0
	for _, a := range answers {
		wrong += len(a.Errors)
	}
	if env.json {
		env.printJSON(answers)
	} else {
		for i, a := range answers {
			if i > 0 {
				env.printf("\n")
			}
			printCheckedCampaign(env, a)
		}
	}
	if wrong > 0 {
		return exitError{code: exitProblems}
	}
	return nil
}

func printCheckedCampaign(env *environment, a checkedCampaign) error {
	if len(a.Errors) > 0 {
		env.printf("%s can't be used.\n", printable(a.File))
	} else {
		s := a.Campaign
		line := fmt.Sprintf("%s can be used: campaign %d of application %d, %s, on %s", a.File, s.ID, s.ApplicationID,
			display.Amount(s.Messages, "message"), strings.Join(s.ChannelTypes, ", "))
		if use := s.use(); use != "ready" {
			line += ". It is " + use + ", so no drop can send it"
		}
		env.printf("%s.\n", printable(line))
	}
	printProblems(env, "Errors", a.Errors, len(a.Errors))
	printProblems(env, "Warnings", a.Warnings, len(a.Warnings))
	if len(a.Errors) > 0 {
		return nil
	}
	return env.lines(contentLines(a.contents))
}
