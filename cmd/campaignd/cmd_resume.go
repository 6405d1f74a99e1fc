package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
)

func newResumeCmd(env *environment) *cobra.Command {
	var all bool
	var channel string
	var application int64
	cmd := &cobra.Command{
		Use:   "resume SENDING | --all | --channel NAME",
		Short: "Resume a paused or held sending, or a channel",
		Long: `Resumes a paused or held sending. Missed slices are planned again from now on
and don't go out all at once. --all resumes every held sending, for example after
you restored the store from a backup. It never resumes one that somebody paused.

--channel lets a channel that is held, throttled or in trouble try a message
immediately, in one application or in every one that has such a channel.`,
		Example: "  campaignd resume 42         resume the sending with number 42\n  campaignd resume --all      resume all held ones\n  campaignd resume --channel cloud_api --application 1",
		Args: func(_ *cobra.Command, args []string) error {
			chosen := len(args)
			if all {
				chosen++
			}
			if channel != "" {
				chosen++
			}
			if chosen != 1 {
				return errors.New("name one sending, or --all, or --channel NAME")
			}
			if application != 0 && channel == "" {
				return errors.New("--application needs --channel")
			}
			return nil
		},
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			if channel != "" {
				return resumeChannel(cmd.Context(), env, api.ChannelResume{ApplicationID: application, ChannelType: channel})
			}
			if !all {
				return changeState(cmd.Context(), env, args[0], (*control.Client).Resume)
			}
			return answer(env, func(c *control.Client) ([]api.Change, error) { return c.ResumeAll(cmd.Context()) }, func(changes []api.Change) error {
				for _, ch := range changes {
					printChange(env, ch)
				}
				if len(changes) == 0 {
					fmt.Fprintln(env.errw, "No sending is held.")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "resume every held sending, but none that somebody paused")
	cmd.Flags().StringVar(&channel, "channel", "", "resume the channel `NAME`")
	cmd.Flags().Int64Var(&application, "application", 0, "of this application only, by `ID`")
	return cmd
}

func resumeChannel(ctx context.Context, env *environment, channel api.ChannelResume) error {
	return answer(env, func(c *control.Client) ([]api.ResumedChannel, error) { return c.ResumeChannel(ctx, channel) }, func(list []api.ResumedChannel) error {
		for _, one := range list {
			line := fmt.Sprintf("Channel %s of application %d tries a message now; it was %s.", one.ChannelType, one.ApplicationID, one.From)
			if !one.Resumed {
				line = fmt.Sprintf("Channel %s of application %d is %s: there is nothing to resume.", one.ChannelType, one.ApplicationID, one.From)
			}
			env.printf("%s\n", printable(line))
		}
		return nil
	})
}
