package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

func newConfigCmd(env *environment) *cobra.Command {
	return subcommands(&cobra.Command{
		Use:        "config",
		SuggestFor: []string{"reload"},
		Short:      "Check, show or reload the configuration",
		Example:    "  campaignd config check\n  campaignd config show\n  campaignd config reload",
	}, newConfigCheckCmd(env), newConfigShowCmd(env), newConfigReloadCmd(env))
}

// checkAnswer is the output of "config check --json".
type checkAnswer struct {
	File   string             `json:"file"`
	OK     bool               `json:"ok"`
	Count  int                `json:"count"`
	Errors []campaign.Problem `json:"errors"`
}

func newConfigCheckCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "List every error in the configuration",
		Long: `Lists every error in the configuration with its line, its column and the expected value.
Without FILE it checks the file that "run" would read. Exit status 2: it found errors.`,
		Example: "  campaignd config check\n  campaignd config check /etc/campaignd/campaignd.toml.new",
		Args:    given(0, 1, "name one file, or none"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := env.configPath(args)
			if err != nil {
				return err
			}
			_, problems := config.Load(path, env.drivers)
			if env.json {
				if problems.List == nil {
					problems.List = []campaign.Problem{}
				}
				env.printJSON(checkAnswer{path, problems.Count == 0, problems.Count, problems.List})
			} else {
				for _, p := range problems.List {
					fmt.Fprintln(env.errw, printable(p.String()))
				}
			}
			switch {
			case problems.Count > 0 && env.json:
				return exitError{code: exitUsage}
			case problems.Count > 0:
				return usage("%s: %s", path, display.Amount(problems.Count, "error"))
			case env.json:
				return nil
			}
			return env.printf("%s is valid.\n", printable(path))
		},
	}
}

// configPath returns the named file, else the one that "run" would read.
func (env *environment) configPath(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	path, err := config.Find(env.configFlag, env.getenv)
	if err != nil {
		return "", exitError{exitUsage, err}
	}
	return path, nil
}

func newConfigShowCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print the configuration with every default filled in",
		Long:    `Prints the effective configuration with every default filled in, as TOML or, with --json, as JSON. It prints the names of secret files, never their content.`,
		Example: "  campaignd config show",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			if env.json {
				all, err := cfg.Values()
				if err != nil {
					return fmt.Errorf("print configuration: %w", err)
				}
				return env.printJSON(all)
			}
			if err := cfg.Show(env.out); err != nil {
				return fmt.Errorf("print configuration: %w", err)
			}
			return nil
		},
	}
}

func newConfigReloadCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "reload",
		Short:   "Reload the daemon's configuration",
		Long:    `Makes the daemon read its configuration again, as SIGHUP does. If the file has errors, the daemon keeps the old configuration and lists them.`,
		Example: "  campaignd config reload",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(env, func(c *control.Client) (map[string]bool, error) {
				return map[string]bool{"reloaded": true}, c.Reload(cmd.Context())
			}, func(map[string]bool) error { return env.printf("The daemon has reloaded its configuration.\n") })
		},
	}
}
