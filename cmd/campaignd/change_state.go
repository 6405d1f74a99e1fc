package main

import (
	"context"
	"fmt"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

// changeState runs pause, resume or cancel and prints the change.
func changeState(ctx context.Context, env *environment, text string, ask func(*control.Client, context.Context, string) (api.Change, error)) error {
	return answer(env, func(c *control.Client) (api.Change, error) { return ask(c, ctx, text) },
		func(change api.Change) error { return printChange(env, change) })
}

func printChange(env *environment, ch api.Change) error {
	line := fmt.Sprintf("%s (%s) is %s", ch.ID, ch.Name, ch.State)
	switch {
	case ch.Canceling:
		line = fmt.Sprintf("%s (%s) is being canceled", ch.ID, ch.Name)
	case ch.From == ch.State && !ch.State.Active():
		return env.printf("%s\n", printable(fmt.Sprintf("%s (%s) was already %s: nothing has changed.", ch.ID, ch.Name, ch.State)))
	case ch.From != ch.State && ch.From != "":
		line += fmt.Sprintf("; it was %s", ch.From)
	}
	line += "."
	if ch.Canceled > 0 {
		line += fmt.Sprintf(" %s messages will not be sent.", display.Number(ch.Canceled))
	}
	if ch.InFlight > 0 && (ch.Canceling || !ch.State.Active()) {
		line += fmt.Sprintf(" Up to %s were already on their way and can't be recalled.", display.Number(ch.InFlight))
	}
	return env.printf("%s\n", printable(line))
}
