package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `campaignd sends campaigns that are dropped as files.

"campaignd run" is the daemon. Commands talk to it over the Unix socket in its state
folder. "check", "campaign", "config check", "config show", "doctor", "drop", "partner",
"send-test", "version" and "completion" also work without it.

SENDING is an id (20260314-000042), the beginning of one, its number (42), or the
name of a drop (its newest sending).

Exit status: 0 done, 1 failed, 2 usage or configuration, 3 check found problems.

Files: configs/campaignd.toml, else /etc/campaignd/campaignd.toml; --config or
CAMPAIGND_CONFIG names another. NO_COLOR turns color off.`

// newRoot builds the command tree.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "campaignd",
		Short:         "Send campaigns that are dropped as files",
		Version:       version,
		Long:          rootHelp,
		SilenceErrors: true, // environment.end prints errors
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			env.parsed = true
		},
	}
	root.PersistentFlags().StringVar(&env.configFlag, "config", "", "configuration `file`")
	root.PersistentFlags().BoolVar(&env.json, "json", false, "print JSON instead of text")
	root.PersistentFlags().BoolVar(&env.utc, "utc", false, "show times in UTC instead of the application's time zone")
	root.PersistentFlags().BoolVar(&env.wide, "wide", false, "print every column of a table, however narrow the terminal is")
	root.SetVersionTemplate(thisVersion().String())
	root.Flags().Bool("version", false, `print what "campaignd version" prints`)
	root.SetIn(env.in)
	root.SetOut(env.out)
	root.SetErr(env.errw)
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "The daemon:"},
		&cobra.Group{ID: groupInspect, Title: "Inspect:"},
		&cobra.Group{ID: groupControl, Title: "Control:"},
		&cobra.Group{ID: groupMaintain, Title: "Maintain:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupDaemon,
		newRunCmd(env),
		newWorkerCmd(env),
		newCheckCmd(env),
		newCampaignCmd(env),
		newDropCmd(env),
		newConfigCmd(env),
	)
	add(groupInspect,
		newStatusCmd(env),
		newShowCmd(env),
		newWatchCmd(env),
		newWorkersCmd(env),
		newDashboardCmd(env),
		newTimelineCmd(env),
		newResultsCmd(env),
	)
	add(groupControl,
		newPauseCmd(env),
		newResumeCmd(env),
		newCancelCmd(env),
		newRescheduleCmd(env),
		newResendCmd(env),
		newSuppressCmd(env),
		newForgetCmd(env),
		newSendTestCmd(env),
	)
	add(groupMaintain,
		newAuditCmd(env),
		newBackupCmd(env),
		newHandoverCmd(env),
		newCompactCmd(env),
		newDoctorCmd(env),
		newInboxCmd(env),
		newPartnerCmd(env),
		newVersionCmd(env),
	)
	root.AddCommand(newManCmd(env, root))
	env.useWidth(root)
	root.SetCompletionCommandGroupID(groupMaintain)
	root.SetHelpCommandGroupID(groupMaintain)
	root.SetFlagErrorFunc(flagError)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Run, help.RunE = nil, helpOn
	}
	env.completeFlags(root)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Example = "  source <(campaignd completion bash)\n  campaignd completion fish > ~/.config/fish/completions/campaignd.fish"
	}
	return root
}

// helpOn prints the help on a command.
func helpOn(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 { // "help campaign lst"
		about.InitDefaultHelpFlag()
		err = about.ValidateArgs(rest)
		if err == nil {
			err = given(0, 0, "no command has that name")(about, rest)
		}
	}
	if err != nil {
		return exitError{exitUsage, err}
	}
	return about.Help()
}

// Command groups of the help.
const (
	groupDaemon   = "daemon"
	groupInspect  = "inspect"
	groupControl  = "control"
	groupMaintain = "maintain"
)
