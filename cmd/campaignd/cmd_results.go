package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/report"
)

func newResultsCmd(env *environment) *cobra.Command {
	var texts []string
	cmd := &cobra.Command{
		Use:   "results SENDING",
		Short: "Print the outcome of each message as CSV",
		Long: `Prints a CSV line for every row and message of a sending, with these columns:
` + strings.ReplaceAll(strings.TrimSpace(report.Header), ",", ", ") + `.
The output contains contacts. With --json it prints one object per line.
--outcome selects outcomes: ` + outcomeNames() + `.`,
		Example:           "  campaignd results 42 >results.csv\n  campaignd results 42 --outcome failed,unknown",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			var outcomes []campaign.Outcome
			for _, text := range texts {
				o, err := campaign.ParseOutcome(text)
				if err != nil || !o.Final() {
					return usage("unknown outcome %q, want one of %s", text, outcomeNames())
				}
				outcomes = append(outcomes, o)
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			f := api.ResultsFilter{Outcomes: outcomes, Plain: env.json}
			write := func(w io.Writer) error { return c.Results(cmd.Context(), args[0], f, w) }
			if env.json {
				return resultsJSON(env.out, write)
			}
			return write(env.out)
		},
	}
	cmd.Flags().StringSliceVar(&texts, "outcome", nil, "only messages with this `outcome`; may be given more than once")
	return cmd
}

func outcomeNames() string {
	var names []string
	for _, o := range campaign.FinalOutcomes {
		names = append(names, o.String())
	}
	return strings.Join(names, ", ")
}
