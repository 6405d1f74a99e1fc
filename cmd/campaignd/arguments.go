package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaignd/internal/source"
)

// given accepts between least and most arguments. Its error says in words which ones are expected.
func given(least, most int, words string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("%s: %s (see %q)", strings.TrimPrefix(cmd.CommandPath(), "campaignd "), words, cmd.CommandPath()+" --help")
		}
		return nil
	}
}

// unlimited is the number of arguments of a command that takes as many as there are.
const unlimited = math.MaxInt

// subcommands makes cmd, which does nothing itself, say which subcommands there are.
func subcommands(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	list := strings.Join(names, " or ")
	if last := len(names) - 1; last > 1 {
		list = strings.Join(names[:last], ", ") + " or " + names[last]
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("unknown subcommand %q of %s%s", args[0], cmd.Name(), meant(args[0], names, "name "+list))
	}
	cmd.RunE = func(*cobra.Command, []string) error { return usage("name a subcommand: %s", list) }
	return cmd
}

// meant ends an error with the nearest of the names, or else with advice.
func meant(text string, names []string, advice string) string {
	if near := source.DidYouMean(text, names); near != "" || advice == "" {
		return near
	}
	return "; " + advice
}

// texts converts names of one kind.
func texts[T ~string](names []T) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return list
}

// unknownName refuses a name that isn't one of the names; what says what it would name.
func unknownName(what, text string, names []string) error {
	return usage("unknown %s %q%s (there are: %s)", what, text, meant(text, names, ""), strings.Join(names, ", "))
}

// knownCommand refuses a command that there is not.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if slices.Contains(c.SuggestFor, args[0]) {
			return fmt.Errorf("unknown command %q; did you mean %q?", args[0], c.Name())
		}
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q%s", args[0], meant(args[0], names, ""))
}

// flagError puts an error of a flag into words, with the nearest name.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok && e.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		return fmt.Errorf("%w%s", err, meant("--"+e.GetSpecifiedName(), names, ""))
	}
	e, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	switch kind := e.GetFlag().Value.Type(); kind {
	case "int", "int64", "uint32":
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("found --%s %q, which is too large", e.GetFlag().Name, e.GetValue())
		}
		return fmt.Errorf("found --%s %q, want a whole number", e.GetFlag().Name, e.GetValue())
	case "bool":
		return fmt.Errorf("found --%s=%s, want true or false", e.GetFlag().Name, e.GetValue())
	}
	return err
}
