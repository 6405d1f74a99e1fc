package graphfake

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func template(v any) error {
	o, ok := v.(map[string]any)
	if !ok {
		return bad(100, "template", "is no object")
	}
	if err := keys("template", o, []string{"name", "language"}, []string{"components"}); err != nil {
		return err
	}
	if name, _ := o["name"].(string); !regexp.MustCompile(`^[a-z0-9_]{1,512}$`).MatchString(name) {
		return bad(100, "template.name", "%v is no name", o["name"])
	}
	l, ok := o["language"].(map[string]any)
	if !ok {
		return bad(100, "template.language", "is no object")
	}
	if err := keys("template.language", l, []string{"policy", "code"}, nil); err != nil {
		return err
	}
	code, _ := l["code"].(string)
	if l["policy"] != "deterministic" || !regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z0-9]{2,4})?$`).MatchString(code) {
		return bad(100, "template.language", "policy %v or code %v is not taken", l["policy"], l["code"])
	}
	raw, has := o["components"]
	if !has {
		return nil
	}
	list, ok := raw.([]any)
	if !ok {
		return bad(100, "template.components", "is no list")
	}
	seen := map[string]bool{}
	for i, c := range list {
		what, err := component(fmt.Sprintf("template.components.%d", i), c)
		if err != nil {
			return err
		}
		if seen[what] {
			return bad(132012, "template.components", "a second %s", what)
		}
		seen[what] = true
	}
	return nil
}

func component(path string, v any) (string, error) {
	o, ok := v.(map[string]any)
	if !ok {
		return "", bad(100, path, "is no object")
	}
	kind, _ := o["type"].(string)
	var types []string
	switch kind {
	case "header":
		types = []string{"text", "currency", "date_time", "image", "document", "video", "location"}
	case "body":
		types = []string{"text", "currency", "date_time"}
	case "button":
		sub, _ := o["sub_type"].(string)
		index, _ := o["index"].(string)
		if err := keys(path, o, []string{"type", "sub_type", "index"}, []string{"parameters"}); err != nil {
			return "", err
		}
		if !regexp.MustCompile(`^[0-9]$`).MatchString(index) {
			return "", bad(100, path+".index", `is not "0" to "9"`)
		}
		switch sub {
		case "quick_reply":
			types = []string{"payload"}
		case "url":
			types = []string{"text"}
		case "copy_code":
			types = []string{"coupon_code", "text"}
		case "catalog", "flow", "mpm", "order_details", "voice_call":
			types = []string{"action", "payload", "text"}
		default:
			return "", bad(100, path+".sub_type", "%q is not taken", sub)
		}
		kind += index
	default:
		return "", bad(100, path+".type", "%v is not taken", o["type"])
	}
	if kind == "header" || kind == "body" {
		if err := keys(path, o, []string{"type", "parameters"}, nil); err != nil {
			return "", err
		}
	}
	raw, has := o["parameters"]
	if !has {
		return kind, nil
	}
	list, ok := raw.([]any)
	if !ok || len(list) == 0 {
		return "", bad(100, path+".parameters", "is no list with something in it")
	}
	named := 0
	for i, p := range list {
		isNamed, err := parameter(fmt.Sprintf("%s.parameters.%d", path, i), p, types)
		if err != nil {
			return "", err
		}
		if isNamed {
			named++
		}
	}
	if named > 0 && named < len(list) {
		return "", bad(100, path+".parameters", "some are named and some are not")
	}
	return kind, nil
}

func parameter(path string, v any, types []string) (named bool, err error) {
	o, ok := v.(map[string]any)
	if !ok {
		return false, bad(100, path, "is no object")
	}
	kind, _ := o["type"].(string)
	if !slices.Contains(types, kind) {
		return false, bad(132012, path+".type", "%q; expected one of %v", kind, types)
	}
	if err := keys(path, o, []string{"type", kind}, []string{"parameter_name"}); err != nil {
		return false, err
	}
	if raw, has := o["parameter_name"]; has {
		name, _ := raw.(string)
		if named = regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(name); !named {
			return false, bad(100, path+".parameter_name", "is no name")
		}
	}
	path += "." + kind
	if kind == "text" || kind == "payload" || kind == "coupon_code" {
		s, ok := o[kind].(string)
		switch {
		case !ok || s == "":
			return named, bad(100, path, "is no string with something in it")
		case kind == "text" && (strings.ContainsAny(s, "\r\n\t") || strings.Contains(s, "     ")):
			return named, bad(132018, path, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
		}
		return named, nil
	}
	part, ok := o[kind].(map[string]any)
	if !ok {
		return named, bad(100, path, "is no object")
	}
	return named, object(path, kind, part)
}

func object(path, kind string, o map[string]any) error {
	number := func(k string) error {
		if n, ok := o[k].(json.Number); !ok || strings.ContainsAny(n.String(), ".eE") {
			return bad(131009, path+"."+k, "is not a whole number")
		}
		return nil
	}
	switch kind {
	case "action":
		return nil
	case "currency":
		if err := keys(path, o, []string{"fallback_value", "code", "amount_1000"}, nil); err != nil {
			return err
		}
		return number("amount_1000")
	case "date_time":
		return keys(path, o, []string{"fallback_value"}, []string{"timestamp", "day_of_week", "year", "month", "day_of_month", "hour", "minute", "calendar"})
	case "location":
		return keys(path, o, []string{"latitude", "longitude"}, []string{"name", "address"})
	}
	may := []string{"link", "id"}
	if kind == "document" {
		may = append(may, "filename")
	}
	if err := keys(path, o, nil, may); err != nil {
		return err
	}
	link, hasLink := o["link"].(string)
	id, hasID := o["id"].(string)
	if hasLink == hasID || hasLink && !regexp.MustCompile(`^https?://\S+$`).MatchString(link) || hasID && id == "" {
		return bad(131009, path, "needs a link or an id")
	}
	return nil
}
