package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/watch"
)

func newDropCmd(env *environment) *cobra.Command {
	o := dropOptions{}
	cmd := &cobra.Command{
		Use:        "drop FILE --campaign ID",
		SuggestFor: []string{"send", "upload"},
		Short:      "Check a CSV, show what would be sent, ask, and drop it",
		Long: `Drops a CSV, or an .xlsx or .csv.gz, by hand. It checks the file as the daemon would, shows
the first messages as their recipients will see them and when they go out, and asks. Then it
writes the sidecar, with the file's SHA-256, and puts everything into the inbox. With --wait
it follows the sending to its end.

Without --layout each variable of the campaign is the column of the same name, and the
contact is the first of contactCode, phone, telefono, teléfono and email in the CSV. On a
terminal it asks for what it can't find.

Without a terminal nobody can answer, so --yes is required. Exit status 3: the drop would be
rejected or canceled, and nothing was dropped.`,
		Example: `  campaignd drop contacts.csv --campaign 7
  campaignd drop contacts.csv --campaign 7 --at "tomorrow 09:30" --wait
  campaignd drop contacts.csv --campaign 7 --in 2h --yes`,
		Args: given(1, 1, "name one CSV"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDrop(cmd.Context(), env, o, args[0])
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&o.campaign, "campaign", 0, "the campaign's `id` (required)")
	flags.Int64Var(&o.application, "application", 0, "the application's `id`, if several have such a campaign")
	flags.StringVar(&o.inbox, "inbox", "", "drop into this `inbox`: its path, or the last part of it")
	flags.StringVar(&o.layout, "layout", "", "layout `file`")
	flags.StringVar(&o.name, "name", "", "`name` of the drop (default: the file's)")
	flags.StringVar(&o.at, "at", "", atHelp)
	flags.StringVar(&o.in, "in", "", inHelp)
	flags.StringVar(&o.condition, "condition", "", "slicing `condition`: "+strings.Join(texts(campaign.Conditions), ", "))
	flags.StringVar(&o.reference, "reference", "", "`text` that comes back in reports")
	flags.BoolVar(&o.dryRun, "dry-run", false, "drop it as a dry run: the daemon checks and plans it, and sends nothing")
	flags.BoolVar(&o.resend, "resend", false, "allow a drop that was accepted before")
	flags.BoolVar(&o.yes, "yes", false, "don't ask")
	flags.BoolVar(&o.wait, "wait", false, "follow the sending to its end")
	return cmd
}

// dropOptions holds the options of drop.
type dropOptions struct {
	campaign, application        int64
	inbox, layout, name          string
	at, in, condition, reference string
	dryRun, resend, yes, wait    bool
}

// handDrop is a drop made by hand, before it is in its inbox.
type handDrop struct {
	name     string // NAME
	inbox    *config.Inbox
	path     string // of the CSV
	ending   string // .csv, .csv.gz or .xlsx
	sidecar  []byte
	layout   []byte
	sha256   string
	starting time.Time // since when the daemon can have taken it
}

func runDrop(ctx context.Context, env *environment, o dropOptions, path string) error {
	cfg, err := env.loadConfig()
	if err != nil {
		return err
	}
	path, o.layout = env.path(path), env.path(o.layout)
	plan, err := env.planDrop(cfg, &o)
	if err != nil {
		return err
	}
	parts, err := openDrop([]string{path})
	if err != nil {
		return err
	}
	defer parts.Close()
	if parts.CSV.File == nil {
		return usage("%s is no CSV: drop takes the file with the recipients; --layout names a layout", path)
	}
	d := &handDrop{name: cmp.Or(o.name, parts.Name), inbox: plan.inbox, path: path}
	switch watch.ParseName(parts.CSV.Name).Format {
	case watch.FormatCSV:
		d.ending = ".csv"
	case watch.FormatGzip:
		d.ending = ".csv.gz"
	case watch.FormatSheet:
		d.ending = ".xlsx"
	case watch.FormatZip:
		return usage("%s is a zip, which may have a layout and a sidecar of its own: put it into the inbox, or unpack it and drop the CSV", path)
	}
	parts.Name, parts.CSV.Name = d.name, d.name+d.ending
	if n := watch.ParseName(parts.CSV.Name); n.Kind != watch.KindCSV {
		return usage("%q can't be the name of a drop%s", d.name, because(n.Why))
	}
	if d.layout, err = env.layoutOf(ctx, cfg, path, plan, o.layout); err != nil {
		return err
	}
	if d.sidecar, d.sha256, err = sidecarOf(ctx, parts, plan, &o); err != nil {
		return err
	}
	if err := d.free(); err != nil {
		return err
	}
	c, err := d.check(ctx, env, cfg, parts)
	if err != nil {
		return err
	}
	answer := dropAnswer{Name: d.name, Inbox: d.inbox.Path}
	if err := env.showDrop(c, &answer); err != nil {
		return err
	}
	if c.Earlier && !env.json {
		return exitError{exitProblems, errors.New("add --resend to drop it again")}
	}
	if c.Sending.State == campaign.StateRejected || c.Sending.State == campaign.StateCanceled {
		return exitError{code: exitProblems}
	}
	if !o.yes && !o.dryRun {
		if agreed, err := env.confirm(ctx, question(c)); err != nil || !agreed {
			return cmp.Or(err, error(exitError{exitFailed, fmt.Errorf("nothing was dropped")}))
		}
	}
	d.starting = time.Now()
	if err := d.put(); err != nil {
		return err
	}
	return env.afterDrop(ctx, cfg, d, answer, o.wait)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// question asks whether to drop what was shown.
func question(c *checked) string {
	return fmt.Sprintf("\nSend %s to %s? [y/N] ", display.Amount(c.Sending.Planned, "message"), display.Amount(c.Sending.Rows.Accepted, "recipient"))
}

// check checks the drop with the sidecar and the layout that were made for it.
func (d *handDrop) check(ctx context.Context, env *environment, cfg *config.Config, parts *check.Parts) (*checked, error) {
	var err error
	if parts.Sidecar, err = memoryPart(d.name+".schedule.json", d.sidecar); err != nil {
		return nil, err
	}
	if parts.Layout, err = memoryPart(d.name+".layout.json", d.layout); err != nil {
		return nil, err
	}
	return checkParts(ctx, env, cfg, d.inbox, parts)
}

// showDrop prints the result of the check, or leaves it to the answer with --json.
func (env *environment) showDrop(c *checked, answer *dropAnswer) error {
	if !env.json {
		return c.print(env)
	}
	answer.Check = c.document()
	if c.Sending.State == campaign.StateRejected || c.Sending.State == campaign.StateCanceled {
		return env.printJSON(answer)
	}
	return nil
}
