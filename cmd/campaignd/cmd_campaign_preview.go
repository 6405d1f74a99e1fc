package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/preview"
)

func newCampaignPreviewCmd(env *environment) *cobra.Command {
	var application int64
	var row uint32
	cmd := &cobra.Command{
		Use:   "preview ID [--row N] FILES...",
		Short: "Show a campaign's messages for the rows of a CSV",
		Long: `Shows the messages that recipients of a CSV would get, with their variables filled: the
first ones, or those of one row. FILES are the CSV and its layout; a sidecar is ignored.
Rows are counted from 1, without the header. Exit status 3: the drop would be rejected, or
the row isn't sent.`,
		Example:           "  campaignd campaign preview 7 spring.csv spring.layout.json\n  campaignd campaign preview 7 --row 3 spring.*",
		Args:              given(2, unlimited, "name one campaign by its id, and the files of a drop"),
		ValidArgsFunction: env.completeCampaign,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseCampaignID(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("row") && row == 0 {
				return usage("--row is 0, want the number of a row, from 1")
			}
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			checker, err := env.checker(cfg)
			if err != nil {
				return err
			}
			camp, err := findCampaign(cfg, checker.Campaigns, id, application)
			if err != nil {
				return err
			}
			checker.PreviewRow = row
			f, err := previewFiles(cmd.Context(), checker, camp, env.paths(args[1:]))
			if err != nil {
				return err
			}
			return printPreview(env, f, row)
		},
	}
	cmd.Flags().Int64Var(&application, "application", 0, "the application's `id`, if several have such a campaign")
	cmd.Flags().Uint32Var(&row, "row", 0, "show the messages of this `row`, counted from 1 without the header")
	return cmd
}

// previewFiles checks files as a drop of the campaign.
func previewFiles(ctx context.Context, checker *check.Checker, camp *campaign.Campaign, paths []string) (*check.Finding, error) {
	parts, err := openDrop(paths)
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	read := *parts
	read.Sidecar = check.Part{}
	return checker.Check(ctx, &read, &config.Inbox{Application: camp.ApplicationID, Campaign: camp.ID}, nil, time.Now(), nil, nil, nil)
}

func printPreview(env *environment, f *check.Finding, row uint32) error {
	s := &f.Sending
	switch {
	case f.Wrong():
		c := checked{Sending: *s}
		c.Sending.Warnings = slices.DeleteFunc(c.Sending.Warnings, func(p campaign.Problem) bool { return p.File == s.Name+".schedule.json" }) // a preview has none
		if err := c.print(env); err != nil {
			return err
		}
		return exitError{code: exitProblems}
	case f.PreviewRefusal != nil:
		return exitError{exitProblems, fmt.Errorf("row %d (line %d) isn't sent: %s", row, f.PreviewLine, f.PreviewRefusal.Reason)}
	case row > 0 && f.PreviewLine == 0:
		return usage("there is no row %d: the CSV has %s", row, display.Amount(s.Rows.Total, "row"))
	}
	if env.json {
		return env.printJSON(s.Previews)
	}
	for _, line := range preview.List(s.Previews) {
		env.printf("%s\n", printable(line))
	}
	return nil
}
