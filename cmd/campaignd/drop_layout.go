package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/plan/document"
	"campaignd/internal/source"
)

// layoutOf returns the layout of a drop: the file's, or one that maps columns to variables by
// their names. What it can't map it asks for.
func (env *environment) layoutOf(ctx context.Context, cfg *config.Config, csv string, p *dropPlan, path string) ([]byte, error) {
	if in := p.inbox; path == "" && in.Layout != config.LayoutColumns {
		path = in.Layout // "" if it has none
	}
	if path != "" {
		f, err := openNamed(path)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, document.MaxSize+1)) // the check refuses what is larger
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", path, err)
		}
		return data, nil
	}
	channels := channelsOf(p)
	var kinds []contact.Kind
	for _, name := range channels {
		kinds = append(kinds, p.app.ContactRules(name).Kind())
	}
	contacts := check.ContactColumns(p.inbox, kinds)
	variables := document.Variables(p.campaign.Contents)
	parts, err := openDrop([]string{csv}) // apart: the check unpacks it again, with the layout
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	in := &config.Inbox{Application: p.app.ID, Campaign: p.campaign.ID}
	checker, err := env.checker(cfg)
	if err != nil {
		return nil, err
	}
	columns, problems, err := checker.Columns(ctx, parts, in, slices.Concat(variables, contacts))
	if err != nil {
		return nil, err
	}
	if problems.Count > 0 {
		printProblems(env, "Errors", problems.List, problems.Count)
		return nil, exitError{exitProblems, fmt.Errorf("%s would be rejected", parts.CSV.Name)}
	}
	m := mapping{columns: columns, fields: []mapped{{what: "contactCode", wanted: contacts, contact: true}}}
	for _, name := range variables {
		m.fields = append(m.fields, mapped{what: name, wanted: []string{name}})
	}
	if len(channels) > 1 {
		m.fields = append(m.fields, mapped{what: "channelType", wanted: []string{"channelType"}, contact: true})
	} else if len(channels) == 1 {
		m.channel = channels[0]
	}
	if err := m.complete(ctx, env); err != nil {
		return nil, err
	}
	return m.layout()
}

// channelsOf returns the channels that the campaign can be sent on.
func channelsOf(p *dropPlan) []string {
	var names []string
	for _, name := range p.campaign.ChannelTypes {
		if _, ok := p.app.Channels[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// mapping maps the columns of a CSV to the fields of a layout.
type mapping struct {
	columns []string
	channel string // the only channel, "" if a column has it
	fields  []mapped
}

// mapped is one field with its column.
type mapped struct {
	what    string   // a variable, contactCode or channelType
	wanted  []string // names of its column, best first
	contact bool     // it belongs to the layout's contact, not to customFields
	column  string   // "" if none has been found
}

// complete finds the columns by their names, and asks for the others. Where it can't ask, the
// error lists them.
func (m *mapping) complete(ctx context.Context, env *environment) error {
	var missing []string
	for i := range m.fields {
		f := &m.fields[i]
		if f.column = m.named(f.wanted); f.column == "" {
			missing = append(missing, f.what)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if !env.interactive() {
		hint := ""
		for _, name := range missing {
			if near := source.Nearest(name, m.columns); near != "" {
				hint += fmt.Sprintf("\n  %s: did you mean the column %q?", name, near)
			}
		}
		return usage("no column is called %s; the CSV has: %s. Rename columns, or write a layout and name it with --layout%s",
			strings.Join(missing, ", "), strings.Join(m.columns, ", "), hint)
	}
	for i := range m.fields {
		if m.fields[i].column == "" {
			if err := m.ask(ctx, env, &m.fields[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// named returns the column with the first of the names that there is, ignoring case.
func (m *mapping) named(wanted []string) string {
	for _, name := range wanted {
		if slices.Contains(m.columns, name) {
			return name
		}
		for _, column := range m.columns {
			if strings.EqualFold(column, name) {
				return column
			}
		}
	}
	return ""
}

// ask asks until the answer is a column's name or number.
func (m *mapping) ask(ctx context.Context, env *environment, f *mapped) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Which column has %s?\n", f.what)
	for i, column := range m.columns {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, column)
	}
	prompt := printable(b.String()) + "Number or name: "
	for {
		answer, err := env.ask(ctx, prompt)
		if err != nil {
			return err
		}
		for i, column := range m.columns {
			if answer == column || answer == fmt.Sprint(i+1) {
				f.column = column
				return nil
			}
		}
		prompt = fmt.Sprintf("There is no column %q. Number or name: ", printable(answer))
	}
}

// layout returns the mapping as NAME.layout.json.
func (m *mapping) layout() ([]byte, error) {
	contact := map[string]string{}
	custom := map[string]string{}
	if m.channel != "" {
		contact["channelType"] = m.channel
	}
	for _, f := range m.fields {
		object := custom
		if f.contact {
			object = contact
		}
		object[f.what] = "{{" + f.column + "}}"
	}
	data, err := json.MarshalIndent(map[string]any{"contact": contact, "customFields": custom}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write layout: %w", err)
	}
	return append(data, '\n'), nil
}
