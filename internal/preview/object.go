package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// object is a JSON object whose members keep their order.
type object struct{ members []member }

type member struct {
	name  string
	value any // string, json.Number, bool, nil, []any or *object
}

var errNoObject = errors.New("not a JSON object")

// parse reads one JSON object.
func parse(data []byte) (*object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := decode(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoObject
	}
	o, ok := value.(*object)
	if !ok {
		return nil, errNoObject
	}
	return o, nil
}

// decode reads one value. The decoder bounds the nesting.
func decode(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := &object{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := decode(dec)
			if err != nil {
				return nil, err
			}
			key, _ := name.(string) // the decoder accepts nothing else here
			o.members = append(o.members, member{key, value})
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			value, err := decode(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := dec.Token()
		return list, err
	}
	return token, nil
}

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		b = append(append(b, name...), ':')
		b = append(b, plainJSON(m.value)...)
	}
	return append(b, '}'), nil
}

// plainJSON returns a value as JSON, strings in quotes.
func plainJSON(value any) string {
	if s, ok := value.(string); ok {
		list := plain([]string{s}) // plain leaves a bare string without quotes
		return list[1 : len(list)-1]
	}
	return plain(value)
}

// index returns the place of a member. Meta's names are found in either spelling:
// sub_type and subType.
func (o *object) index(name string) int {
	return slices.IndexFunc(o.members, func(m member) bool { return spelling(m.name) == spelling(name) })
}

func spelling(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// member returns a member's value.
func (o *object) member(name string) (any, bool) {
	i := o.index(name)
	if i < 0 {
		return nil, false
	}
	return o.members[i].value, true
}

// take removes a member and returns its value, nil if there is none.
func (o *object) take(name string) any {
	i := o.index(name)
	if i < 0 {
		return nil
	}
	value := o.members[i].value
	o.members = slices.Delete(o.members, i, i+1)
	return value
}
