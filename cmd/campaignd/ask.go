package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// interactive reports whether somebody can answer questions.
func (env *environment) interactive() bool {
	f, ok := env.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && !env.json
}

// ask prints a prompt and returns the answer without blanks around it. It ends with ctx.
func (env *environment) ask(ctx context.Context, prompt string) (string, error) {
	if _, err := fmt.Fprint(env.errw, prompt); err != nil {
		return "", fmt.Errorf("print: %w", err)
	}
	if env.answers == nil {
		env.answers = bufio.NewReader(env.in)
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // a read of a terminal can't be canceled; the process ends with it
		text, err := env.answers.ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", exitError{exitFailed, fmt.Errorf("interrupted, nothing was dropped")}
	case got := <-read:
		text := strings.TrimSpace(got.text)
		if got.err == io.EOF && text == "" {
			_, _ = fmt.Fprintln(env.errw) // the prompt is on the line
			return "", exitError{exitFailed, fmt.Errorf("no answer, nothing was dropped")}
		}
		if got.err != nil && got.err != io.EOF {
			return "", fmt.Errorf("read answer: %w", got.err)
		}
		return text, nil
	}
}

// confirm asks a question and reports whether the answer is yes.
func (env *environment) confirm(ctx context.Context, question string) (bool, error) {
	answer, err := env.ask(ctx, question)
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}
