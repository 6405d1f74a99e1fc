package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `campaignd sends campaigns that are dropped as files.

"campaignd run" is the daemon; "check", "config", "version" and "completion" work
without one; every other command asks the daemon over the Unix socket in its state folder.

Where a command takes a SENDING, give its id (20260314-000042), the beginning of
it, its number alone (42), or the name of the drop (its newest sending is taken).

Exit status: 0 done, 1 failed, 2 usage or configuration, 3 checked and found wanting.

Files: configs/campaignd.toml, else /etc/campaignd/campaignd.toml; --config or
CAMPAIGND_CONFIG names another. NO_COLOR turns colour off.`

// newRoot is the command line as a whole.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "campaignd",
		Short:         "Send campaigns that are dropped as files",
		Long:          rootHelp,
		SilenceErrors: true, // environment.end says what is to be said
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			env.parsed = true
		},
	}
	root.PersistentFlags().StringVar(&env.configFlag, "config", "", "configuration `file`")
	root.PersistentFlags().BoolVar(&env.json, "json", false, "print JSON instead of text")
	root.SetIn(env.in)
	root.SetOut(env.out)
	root.SetErr(env.errw)
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "The daemon:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupSteer, Title: "Steer:"},
		&cobra.Group{ID: groupCare, Title: "Look after it:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupDaemon,
		newRunCmd(env),
		newCheckCmd(env),
		newConfigCmd(env),
	)
	add(groupLook,
		newStatusCmd(env),
		newShowCmd(env),
		newWatchCmd(env),
		newTimelineCmd(env),
		newResultsCmd(env),
	)
	add(groupSteer,
		newPauseCmd(env),
		newResumeCmd(env),
		newCancelCmd(env),
		newResendCmd(env),
		newSuppressCmd(env),
		newSendTestCmd(env),
	)
	add(groupCare,
		newAuditCmd(env),
		newBackupCmd(env),
		newCompactCmd(env),
		newDoctorCmd(env),
		newPartnerCmd(env),
		newVersionCmd(env),
	)
	root.AddCommand(newManCmd(env, root))
	root.SetCompletionCommandGroupID(groupCare)
	root.SetHelpCommandGroupID(groupCare)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Example = "  source <(campaignd completion bash)\n  campaignd completion fish > ~/.config/fish/completions/campaignd.fish"
	}
	return root
}

// The groups of the help.
const (
	groupDaemon = "daemon"
	groupLook   = "look"
	groupSteer  = "steer"
	groupCare   = "care"
)
