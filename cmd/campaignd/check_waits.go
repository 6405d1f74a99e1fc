package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
	"campaignd/internal/watch"
)

// givenFiles are the files of a check by what the watcher of the inbox would make of their names.
type givenFiles struct {
	in       *config.Inbox
	forecast watch.Forecast
	name     string   // of the drop; "" if there is none or several
	parts    []string // paths of its parts, and of files that no check can take
	near     []string // names of its probable parts
	unknown  []string // names of other files
	beside   []string // names of probable parts next to the files, which were not given
}

// sortFiles sorts the files of a check. All of them must be there.
func sortFiles(in *config.Inbox, paths []string) (*givenFiles, error) {
	g := &givenFiles{in: in}
	if files := slices.DeleteFunc(slices.Clone(paths), isNote); len(files) > 0 {
		paths = files
	}
	for _, path := range paths {
		if err := isFile(path); err != nil {
			return nil, exitError{exitUsage, err}
		}
	}
	options, names := daemon.WatchOptions(in), baseNames(paths)
	g.name = watch.Foresee(options, names).Drop()
	beside := filesBeside(paths, names)
	if inside(in, paths[0]) {
		names, beside = append(names, beside...), nil // they are in the inbox as well
	}
	g.forecast = watch.Foresee(options, names)
	g.near = g.forecast.Near(g.name)
	for _, path := range paths {
		switch name := filepath.Base(path); {
		case slices.Contains(g.near, name):
		case watch.ParseName(name).Kind == watch.KindForeign:
			g.unknown = append(g.unknown, name)
		default:
			g.parts = append(g.parts, path)
		}
	}
	for _, name := range watch.Foresee(options, append(baseNames(g.parts), beside...)).Near(g.name) {
		if !slices.Contains(g.near, name) {
			g.beside = append(g.beside, name)
		}
	}
	return g, nil
}

// isNote reports whether a file is a note of campaignd's. A pattern such as spring.* matches it too.
func isNote(path string) bool { return strings.HasSuffix(path, watch.NoteExtension) }

func baseNames(paths []string) (names []string) {
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// filesBeside returns the names of the plain files in the folder of the first path, but those given.
func filesBeside(paths, given []string) (names []string) {
	entries, err := os.ReadDir(filepath.Dir(paths[0]))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !slices.Contains(given, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// inside reports whether a file is directly in the inbox.
func inside(in *config.Inbox, path string) bool {
	one, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return false
	}
	inbox, err := filepath.Abs(in.Path)
	return err == nil && one == inbox
}

// notes returns the result of a check of files that belong to no drop: what their notes would say.
func (g *givenFiles) notes() *checked {
	c := &checked{Sending: campaign.Sending{Name: strings.Join(g.unknown, ", "), State: campaign.StateRejected}}
	var texts []string
	for _, file := range g.unknown {
		texts = append(texts, g.forecast.Note(file))
	}
	c.Sending.Reason = strings.Join(texts, "\n")
	c.Notes = texts
	return c
}

// judge adds to the result of a check what the names of the files mean: near misses, missing parts, files that would be left alone.
func (g *givenFiles) judge(c *checked, now time.Time) {
	s := &c.Sending
	warn := func(code, file, format string, args ...any) {
		s.Warnings = append(s.Warnings, campaign.Problem{Code: code, File: file, Message: fmt.Sprintf(format, args...)})
	}
	for _, file := range g.unknown {
		warn("file-unknown", file, "belongs to no drop: %s", g.forecast.Note(file))
	}
	for _, file := range g.beside {
		warn("near-miss", file, "is in the same folder, was not checked, and has nearly the right name: %s if it is a part of this drop",
			g.forecast.RightNames(g.name, file))
	}
	reason, problems := g.forecast.Wait(g.name)
	for _, p := range problems {
		if !slices.ContainsFunc(s.Problems, func(old campaign.Problem) bool { return old.Code == p.Code && old.File == p.File }) {
			s.Problems = append(s.Problems, p)
			s.ProblemCount++
		}
	}
	if i := slices.IndexFunc(s.Problems, func(p campaign.Problem) bool { return p.Code == "proof-mismatch" }); i >= 0 && reason == "" {
		reason = s.Problems[i].Message
	}
	if reason == "" {
		return
	}
	until := now.Add(g.in.PairTimeout).UTC()
	c.zone = g.in.Location
	c.Wait = &campaign.WaitsFor{Reason: reason, Since: now.UTC().Truncate(time.Second), Until: until.Truncate(time.Second)}
	c.Slices, s.Previews = nil, nil
	s.State = campaign.StateRejected
	s.Reason = fmt.Sprintf("it would wait until %s and then go to failed/: %s", display.Time(until, g.in.Location), reason)
}
