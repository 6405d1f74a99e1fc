package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/service"
)

func newSendTestCmd(env *environment) *cobra.Command {
	var m api.TestMessage
	var vars []string
	cmd := &cobra.Command{
		Use:   "send-test --application ID --channel NAME --campaign ID --to CODE [--var NAME=VALUE]...",
		Short: "Send one real message and print request and reply",
		Long: `Sends one message of a campaign to one contact, immediately and outside any sending, and
prints the request and the reply with secrets redacted. The message is real: the contact gets it.

A running daemon sends the message with its own secrets and respects opt-outs and
daily_contacts, also on a channel that workers send. Without a daemon, as on a worker's
machine, this command sends it with the secrets it can read; it needs the campaign's file
there. The campaign may be disabled. Exit status 1: the message was not accepted.`,
		Example: "  campaignd send-test --application 1 --channel whatsapp --campaign 7 --to +34666777888 --var name=Ann",
		Args:    given(0, 0, "it takes flags, no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"application", "channel", "campaign", "to"} {
				if !cmd.Flags().Changed(name) {
					return usage("--%s is missing: --application, --channel, --campaign and --to are required", name)
				}
			}
			m.Variables = map[string]string{}
			for _, one := range vars {
				name, value, ok := strings.Cut(one, "=")
				if !ok || name == "" {
					return usage("found --var %q, want NAME=VALUE", one)
				}
				m.Variables[name] = value
			}
			r, err := sendTest(cmd.Context(), env, m)
			if err != nil {
				return err
			}
			return printTest(env, r)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&m.ApplicationID, "application", 0, "the application's `id`")
	flags.StringVar(&m.ChannelType, "channel", "", "the `name` of the channel")
	flags.Int64Var(&m.CampaignID, "campaign", 0, "the campaign's `id`")
	flags.StringVar(&m.ContactCode, "to", "", "the contact's `code`: a phone number, a mail address")
	flags.IntVar(&m.Message, "message", 1, "which of the campaign's messages, from 1")
	flags.StringArrayVar(&vars, "var", nil, "a variable's value, as `name=value`; may be given more than once")
	return cmd
}

// sendTest lets a running daemon send the message, or sends it directly. It never opens the store.
func sendTest(ctx context.Context, env *environment, m api.TestMessage) (api.TestResult, error) {
	cfg, err := env.loadConfig()
	if err != nil {
		return api.TestResult{}, err
	}
	client, err := dial(cfg)
	if err == nil {
		defer client.Close()
		return client.SendTest(ctx, m)
	}
	if !errors.Is(err, control.ErrNoDaemon) {
		return api.TestResult{}, err
	}
	if _, err := fmt.Fprintln(env.errw, "no daemon is running: this command sends the message itself and ignores opt-outs"); err != nil {
		return api.TestResult{}, err
	}
	r, err := service.SendTest(ctx, cfg, env.getenv, m)
	if e, ok := errors.AsType[*api.Error](err); ok {
		return r, exitError{exitUsage, e}
	}
	return r, err
}

func printTest(env *environment, r api.TestResult) error {
	if env.json {
		env.printJSON(r)
	} else {
		env.printf("%s", printable(testText(r)))
	}
	if r.Outcome != "sent" {
		return exitError{code: exitFailed}
	}
	return nil
}

func testText(r api.TestResult) string {
	var b strings.Builder
	part := func(title, text string) {
		fmt.Fprintf(&b, "--- %s\n%s", title, strings.ReplaceAll(text, "\r\n", "\n"))
		if !strings.HasSuffix(text, "\n") {
			b.WriteString("\n")
		}
	}
	part("request", r.Request)
	switch {
	case r.Reply != "":
		part("reply", r.Reply)
	case r.Traced:
		part("reply", "none received")
	}
	fmt.Fprintf(&b, "\n%s", r.Outcome)
	if r.ProviderID != "" {
		fmt.Fprintf(&b, ", as %s", r.ProviderID)
	}
	if r.Code != "" {
		fmt.Fprintf(&b, " (%s)", r.Code)
	}
	if r.Detail != "" {
		fmt.Fprintf(&b, ": %s", r.Detail)
	}
	b.WriteString("\n")
	return b.String()
}
