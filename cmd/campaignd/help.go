package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// useWidth makes the help of every command fit the terminal.
func (env *environment) useWidth(root *cobra.Command) {
	width := env.helpWidth()
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", width)))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		about := cmd.Long
		if about == "" {
			about = cmd.Short
		}
		_ = env.printf("%s\n\n%s", wrapText(about, width), cmd.UsageString()) // nobody reads a closed pipe
	})
}

// helpWidth returns the width of the help: the terminal's, at most 100 columns, or 80 if there
// is no terminal.
func (env *environment) helpWidth() int {
	const usual, most, least = 80, 100, 30
	if env.width == 0 {
		return usual
	}
	return max(min(env.width, most), least)
}

// wrapText fills the paragraphs of a text to width columns. Indented lines stay as they are.
func wrapText(text string, width int) string {
	var out []string
	var words []string
	flush := func() {
		line := ""
		for _, w := range words {
			if line != "" && len([]rune(line))+1+len([]rune(w)) > width {
				out, line = append(out, line), ""
			}
			if line != "" {
				line += " "
			}
			line += w
		}
		if line != "" {
			out = append(out, line)
		}
		words = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			out = append(out, line)
			continue
		}
		words = append(words, strings.Fields(line)...)
	}
	flush()
	return strings.Join(out, "\n")
}
