package control_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// description is the part of openapi.json that the test reads.
type description struct {
	Paths      map[string]map[string]described
	Components struct {
		Schemas map[string]schema
	}
}

type described struct {
	Parameters []struct {
		Name, In string
		Required bool
		Schema   schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema map[string]any

func (d *description) resolve(s schema) schema {
	if ref, ok := s["$ref"].(string); ok {
		return d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	return s
}

// example returns a valid value.
func (d *description) example(s schema) any {
	s = d.resolve(s)
	if one, ok := s["example"]; ok {
		return one
	}
	if list, ok := s["enum"].([]any); ok {
		return list[0]
	}
	switch s["type"] {
	case "integer":
		return 1
	case "number":
		return 1.5
	case "boolean":
		return true
	case "array":
		return []any{d.example(asSchema(s["items"]))}
	case "object":
		value := map[string]any{}
		for name, property := range asMap(s["properties"]) {
			value[name] = d.example(asSchema(property))
		}
		return value
	}
	if s["format"] == "date-time" {
		return "2026-03-14T15:09:26Z"
	}
	return "x"
}

// wrong returns values of the wrong type.
func (d *description) wrong(s schema) []any {
	s = d.resolve(s)
	switch s["type"] {
	case "integer", "number":
		return []any{"one", true, []any{}}
	case "boolean":
		return []any{"yes", 1}
	case "array":
		return []any{"x", 1, map[string]any{}}
	case "object":
		return []any{"x", 1, []any{}}
	}
	if s["enum"] != nil || s["format"] != nil {
		return []any{1, "frob"}
	}
	return []any{1, []any{}}
}

// wrongText returns query values that aren't of the type.
func wrongText(s schema) []string {
	switch {
	case s["type"] == "integer":
		return []string{"", "+1", " 1", "1.5", "-1", "one", "0x1", "99999999999999999999"}
	case s["type"] == "boolean":
		return []string{"", "1", "yes", "TRUE"}
	case s["type"] == "array":
		return []string{"frob", ""}
	case s["format"] == "date-time":
		return []string{"", "yesterday", "2026-03-14"}
	case s["pattern"] != nil:
		return []string{"", "zz"}
	}
	return nil
}

func asSchema(v any) schema { m, _ := v.(map[string]any); return m }

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }

// check returns the differences between v and the schema.
func (d *description) check(at string, s schema, v any) error {
	s = d.resolve(s)
	ok := true
	switch s["type"] {
	case "integer", "number":
		_, ok = v.(float64)
	case "boolean":
		_, ok = v.(bool)
	case "string":
		_, ok = v.(string)
	case "array":
		list, isList := v.([]any)
		ok = isList
		for i, one := range list {
			if err := d.check(fmt.Sprintf("%s[%d]", at, i), asSchema(s["items"]), one); err != nil {
				return err
			}
		}
	case "object":
		members, isObject := v.(map[string]any)
		ok = isObject
		return d.checkObject(at, s, members, ok)
	}
	if !ok {
		return fmt.Errorf("%s is %v, want %s", at, v, s["type"])
	}
	return nil
}

func (d *description) checkObject(at string, s schema, members map[string]any, ok bool) error {
	if !ok {
		return fmt.Errorf("%s isn't an object", at)
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := members[name.(string)]; !ok {
			return fmt.Errorf("%s lacks %s", at, name)
		}
	}
	properties := asMap(s["properties"])
	for name, one := range members {
		property, ok := properties[name]
		if !ok {
			if s["additionalProperties"] == nil {
				return fmt.Errorf("%s has %s, which isn't described", at, name)
			}
			property = s["additionalProperties"]
		}
		if err := d.check(at+"."+name, asSchema(property), one); err != nil {
			return err
		}
	}
	return nil
}

// calls derives requests from the description of an operation: a right one, and
// others with a missing, a wrong or a surplus parameter.
func (d *description) calls(op described) []call {
	query := url.Values{}
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		value := d.example(p.Schema)
		if list, ok := value.([]any); ok {
			value = list[0]
		}
		query.Set(p.Name, fmt.Sprint(value))
	}
	base := call{query: query.Encode(), want: 200}
	if _, ok := op.Responses["202"]; ok {
		base.want = 202
	}
	for kind, content := range op.RequestBody.Content {
		base.contentType = kind
		if kind == "application/json" {
			base.body = d.example(content.Schema)
		}
	}
	with := func(what string, query url.Values, body any, want int) call {
		return call{what, query.Encode(), body, base.contentType, want}
	}
	list := []call{with("right", query, base.body, base.want)}
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		less := maps.Clone(query)
		less.Del(p.Name)
		want := 200
		if p.Required {
			want = 400
		}
		list = append(list, with("without "+p.Name, less, base.body, want))
		for _, text := range wrongText(p.Schema) {
			other := maps.Clone(query)
			other.Set(p.Name, text)
			list = append(list, with(fmt.Sprintf("%s=%q", p.Name, text), other, base.body, 400))
		}
		if p.Schema["type"] != "array" {
			twice := maps.Clone(query)
			twice[p.Name] = []string{query.Get(p.Name), query.Get(p.Name)}
			list = append(list, with(p.Name+" twice", twice, base.body, 400))
		}
	}
	surplus := maps.Clone(query)
	surplus.Set("frob", "1")
	list = append(list, with("a surplus parameter", surplus, base.body, 400),
		call{"a malformed query", strings.TrimPrefix(base.query+"&state=held;x=1", "&"), base.body, base.contentType, 400},
		call{"a bad escape", strings.TrimPrefix(base.query+"&%zz=1", "&"), base.body, base.contentType, 400})
	if base.contentType != "" {
		list = append(list, call{"another content type", base.query, base.body, "text/plain", 400})
	}
	if base.body != nil {
		list = append(list, d.bodies(op.RequestBody.Content["application/json"].Schema, query, with)...)
	}
	return list
}

// bodies derives wrong bodies.
func (d *description) bodies(s schema, query url.Values, with func(string, url.Values, any, int) call) []call {
	resolved, wrap := d.resolve(s), func(v any) any { return v }
	if resolved["type"] == "array" {
		resolved = d.resolve(asSchema(resolved["items"]))
		wrap = func(v any) any { return []any{v} }
	}
	right := d.example(resolved).(map[string]any)
	required, _ := resolved["required"].([]any)
	list := []call{with("null", query, json.RawMessage("null"), 400), with("a text for a body", query, "x", 400)}
	surplus := maps.Clone(right)
	surplus["frob"] = 1
	list = append(list, with("a surplus key", query, wrap(surplus), 400))
	for name, property := range asMap(resolved["properties"]) {
		less := maps.Clone(right)
		delete(less, name)
		want := 200
		if slices.Contains(required, any(name)) {
			want = 400
		}
		list = append(list, with("a body without "+name, query, wrap(less), want))
		for _, value := range d.wrong(asSchema(property)) {
			other := maps.Clone(right)
			other[name] = value
			list = append(list, with(fmt.Sprintf("%s: %v", name, value), query, wrap(other), 400))
		}
		upper := maps.Clone(less)
		upper[strings.ToUpper(name)] = right[name]
		list = append(list, with("a key in capitals: "+name, query, wrap(upper), 400))
	}
	return list
}
