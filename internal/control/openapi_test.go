package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/test/golden"
)

// nobody is a Service that panics when called.
type panicService struct{ Service }

// object is a JSON object; its keys are written in alphabetical order.
type object map[string]any

// operation describes one route as openapi.json does.
type operation struct {
	summary string
	query   []parameter
	body    any    // a value of the body's type, nil for none
	text    string // content type of a body or an answer that isn't JSON: "body:" or "answer:" before it
	answer  any    // a value of the answer's type
	form    object // schema of a multipart body, nil for none; then the answer is 202 and errors are problem details
}

type parameter struct {
	name, about string
	schema      object
	many        bool
	required    bool
}

func described() map[string]operation {
	application := parameter{"application", "only of this application; 0 for all", object{"type": "integer", "minimum": 0}, false, false}
	one := parameter{"application", "the application", object{"type": "integer", "minimum": 1}, false, true}
	limit := parameter{"limit", "maximum number; 0 for all", object{"type": "integer", "minimum": 0}, false, false}
	instant := object{"type": "string", "format": "date-time"}
	digest := object{"type": "string", "pattern": "^[0-9a-f]{64}$", "example": strings.Repeat("0123456789abcdef", 4)}
	end := object{"type": "string", "format": "date-time", "example": "2026-03-15T15:09:26Z"}
	outcome := parameter{"outcome", "only messages with one of these outcomes", enumOf(campaign.FinalOutcomes), true, false}
	plain := parameter{"plain", "without the apostrophe before cells that a spreadsheet would take for a formula", object{"type": "boolean"}, false, false}
	return map[string]operation{
		"GET /v1/status":                    {summary: "Status of the daemon", answer: api.Status{}},
		"GET /v1/sendings":                  {summary: "Sendings, newest first", query: []parameter{{"state", "only in one of these states", enumOf(campaign.States), true, false}, application, {"name", "only with this in their name, in any case", object{"type": "string"}, false, false}, {"since", "only claimed at or after it", instant, false, false}, {"offset", "number of sendings to skip", object{"type": "integer", "minimum": 0}, false, false}, limit}, answer: []api.Sending{}},
		"GET /v1/sendings/{id}":             {summary: "One sending completely", answer: api.Details{}},
		"POST /v1/sendings/{id}/pause":      {summary: "Pause a sending; no attempt begins after the answer", answer: api.Change{}},
		"POST /v1/sendings/{id}/resume":     {summary: "Resume a paused or held sending", answer: api.Change{}},
		"POST /v1/sendings/{id}/cancel":     {summary: "Cancel a sending permanently", answer: api.Change{}},
		"POST /v1/sendings/{id}/reschedule": {summary: "Give a sending that has not begun another time", body: api.NewTime{}, answer: api.Rescheduled{}},
		"POST /v1/sendings/{id}/resend":     {summary: "Send failed, unknown or undelivered messages again", body: resendRequest{}, answer: api.Resent{}},
		"GET /v1/sendings/{id}/results":     {summary: "results.csv: a line for every row and message; contains contact data", query: []parameter{outcome, plain}, text: "answer:" + typeCSV},
		uploadPattern:                       {summary: "Take one drop, wait up to 30 seconds for its check, and answer", form: uploadForm(), answer: api.Uploaded{}},
		"POST /v1/resume":                   {summary: "Resume every paused or held sending", answer: []api.Change{}},
		"POST /v1/channels/resume":          {summary: "Let a channel that isn't ok try a message immediately", body: api.ChannelResume{}, answer: []api.ResumedChannel{}},
		"GET /v1/timeline":                  {summary: "The slots of the next 48 hours and the sendings that use them", query: []parameter{application, {"limit", "maximum number of sendings of each application; 0 for all", object{"type": "integer", "minimum": 0}, false, false}}, answer: api.Timeline{}},
		"GET /v1/reserved":                  {summary: "The reserved slots of an application that start in [from, until)", query: []parameter{one, {"from", "not before", instant, false, true}, {"until", "before; later than from", end, false, true}}, answer: api.Reservations{}},
		"GET /v1/earlier":                   {summary: "The accepted sending that a drop would repeat", query: []parameter{one, {"digest", "SHA-256 over application, campaign, layout and CSV in hexadecimal", digest, false, true}}, answer: api.EarlierDrop{}},
		"GET /v1/suppressions":              {summary: "The contacts that opted out; contains contact data", query: []parameter{application}, answer: []api.OptOut{}},
		"POST /v1/suppressions":             {summary: "Add opt-outs; the answer says how many were new", body: []api.OptOut{}, answer: counted{}},
		"POST /v1/suppressions/remove":      {summary: "Remove opt-outs; the answer says how many it found", body: []api.OptOut{}, answer: counted{}},
		"POST /v1/forget":                   {summary: "Remove a contact from the store and the folders, and keep it suppressed", body: forgetRequest{}, answer: api.Forgotten{}},
		"POST /v1/suppressions/import":      {summary: "Add the rows of a CSV with contactCode and, optional, channelType as opt-outs", query: []parameter{application}, text: "body:" + typeCSV, answer: api.Imported{}},
		"GET /v1/audit":                     {summary: "The audit trail, newest first", query: []parameter{{"since", "not before", instant, false, false}, {"sending", "only of this sending: an id, a shortened one or a name", object{"type": "string", "example": "42"}, false, false}, limit}, answer: []api.AuditEntry{}},
		"GET /v1/doctor":                    {summary: "Checks of store, folders, configuration, channels and clock", query: []parameter{{"deep", "read the whole store", object{"type": "boolean"}, false, false}}, answer: []api.Finding{}},
		"GET /v1/templates":                 {summary: "The message templates that the channels' receivers have", query: []parameter{application, {"channel", "only of this channel", object{"type": "string"}, false, false}}, answer: []api.ChannelTemplates{}},
		"GET /v1/backup":                    {summary: "A consistent copy of the store; the trailer " + digestTrailer + " has its digest", text: "answer:application/octet-stream"},
		"POST /v1/send-test":                {summary: "Send one message immediately and return its request and reply; over the socket only", body: api.TestMessage{}, answer: api.TestResult{}},
		"POST /v1/login-code":               {summary: "Create an address of the dashboard that logs in once, within ten minutes; over the socket only", answer: api.LoginCode{}},
		"POST /v1/compact":                  {summary: "Return the store's free space to the disk", answer: api.Compacted{}},
		"POST /v1/handover":                 {summary: "Let the standby lead, and end", answer: api.Handover{}},
		"POST /v1/reload":                   {summary: "Read the configuration again", answer: struct{}{}},
	}
}

// TestOpenAPI holds openapi.json to the routes and to the types of the API, with their comments.
func TestOpenAPI(t *testing.T) {
	g := &generator{comments: commentsOf(t, ".", "../api", "../campaign"), schemas: object{}}
	want := g.document(t, New(panicService{}, Options{}).routes())
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "openapi.json", b.String())
}

// TestQueriesAreDescribed: the parameters that a route takes are those of its description.
func TestQueriesAreDescribed(t *testing.T) {
	all := described()
	for _, one := range New(panicService{}, Options{}).routes() {
		var want []string
		for _, p := range all[one.pattern].query {
			want = append(want, p.name)
		}
		if diff := cmp.Diff(want, one.query); diff != "" {
			t.Errorf("%s: its parameters (-described +known):\n%s", one.pattern, diff)
		}
	}
}

// generator makes schemas from types.
type generator struct {
	comments map[string]string // by type, and by type.field
	schemas  object
}

func (g *generator) document(t *testing.T, routes []route) object {
	t.Helper()
	all, paths := described(), object{}
	for _, one := range routes {
		op, ok := all[one.pattern]
		if !ok {
			t.Errorf("%s is not described", one.pattern)
			continue
		}
		delete(all, one.pattern)
		method, path, _ := strings.Cut(one.pattern, " ")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(method)] = g.operation(path, op)
	}
	for pattern := range all {
		t.Errorf("%s is described and not there", pattern)
	}
	g.schema(reflect.TypeFor[api.Error]())
	g.schema(reflect.TypeFor[problemDetails]())
	for _, name := range []string{"Error", "ProblemDetails"} {
		g.schemas[name].(object)["properties"].(object)["code"] = object{"type": "string", "enum": codes()}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "campaignd", "version": "1",
			"description": "The API of a running daemon, over its control socket and, where listen is set, over HTTP. Keys are added, never renamed or given another meaning."},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"token": []any{}}, object{}},
		"paths":    paths,
		"components": object{
			"schemas": g.schemas,
			"responses": object{"error": object{"description": "What went wrong", "content": object{typeJSON: object{"schema": object{
				"type": "object", "required": []any{"error"}, "properties": object{"error": object{"$ref": "#/components/schemas/Error"}}}}}},
				"problem": object{"description": "What went wrong", "content": object{typeProblem: object{"schema": object{"$ref": "#/components/schemas/ProblemDetails"}}}}},
			"parameters": object{
				"applicationId": object{"name": "applicationId", "in": "path", "required": true, "schema": object{"type": "integer", "minimum": 1}},
				"campaignId":    object{"name": "campaignId", "in": "path", "required": true, "schema": object{"type": "integer", "minimum": 1}},
				"key": object{"name": keyHeader, "in": "header", "required": false, "schema": object{"type": "string", "maxLength": maxKey},
					"description": "For 24 hours the same key with the same content gets the same answer, and with other content 422"},
				"id": object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"},
					"description": "An id, a shortened one that is unique, or a drop's name"}},
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "Over HTTP; the control socket needs none"}},
		},
	}
}

func (g *generator) operation(path string, op operation) object {
	out := object{"summary": op.summary}
	var parameters []any
	for _, name := range []string{"id", "applicationId", "campaignId"} {
		if strings.Contains(path, "{"+name+"}") {
			parameters = append(parameters, object{"$ref": "#/components/parameters/" + name})
		}
	}
	if op.form != nil {
		parameters = append(parameters, object{"$ref": "#/components/parameters/key"})
	}
	for _, p := range op.query {
		schema := p.schema
		if p.many {
			schema = object{"type": "array", "items": p.schema}
		}
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.about, "schema": schema, "required": p.required})
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	content := object{}
	if op.answer != nil {
		content[typeJSON] = object{"schema": g.schema(reflect.TypeOf(op.answer))}
	}
	if kind, ok := strings.CutPrefix(op.text, "answer:"); ok {
		content[kind] = object{}
	}
	out["responses"] = object{"200": object{"description": "Done", "content": content}, "default": object{"$ref": "#/components/responses/error"}}
	switch kind, text := strings.CutPrefix(op.text, "body:"); {
	case op.form != nil:
		out["requestBody"] = object{"required": true, "content": object{typeForm: object{"schema": op.form}}}
		out["responses"] = object{"default": object{"$ref": "#/components/responses/problem"}, "202": object{"description": "Taken in, or still being checked",
			"content": content, "headers": object{"Location": object{"description": "path of the sending", "schema": object{"type": "string"}}}}}
	case text:
		out["requestBody"] = object{"required": true, "content": object{kind: object{}}}
	case op.body != nil:
		out["requestBody"] = object{"required": true, "content": object{typeJSON: object{"schema": g.schema(reflect.TypeOf(op.body))}}}
	}
	return out
}

func enumOf[T any](list []T) object {
	var names []any
	for _, one := range list {
		names = append(names, fmt.Sprint(one))
	}
	return object{"type": "string", "enum": names}
}

func codes() []any {
	var list []any
	for _, c := range []api.Code{api.CodeInvalid, api.CodeUnauthorized, api.CodeForbidden, api.CodeNotFound, api.CodeMethod, api.CodeConflict, api.CodeTooLarge, api.CodeHost, api.CodeRejected, api.CodeKeyReused, api.CodeFull, api.CodeInternal, api.CodeUnavailable, api.CodeNoSpace} {
		list = append(list, string(c))
	}
	return list
}

// schema describes a type; structs go into the components.
func (g *generator) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[campaign.State]():
		return enumOf(campaign.States)
	case reflect.TypeFor[campaign.Condition]():
		return enumOf(campaign.Conditions)
	case reflect.TypeFor[api.ChannelState]():
		return enumOf(api.ChannelStates())
	case reflect.TypeFor[api.ResendOutcome]():
		return enumOf(resendOutcomes())
	case reflect.TypeFor[api.Level]():
		return enumOf([]api.Level{api.LevelOK, api.LevelWarn, api.LevelFail})
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Pointer:
		return g.schema(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return object{"type": "object"}
		}
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if g.schemas[name] == nil {
			one := object{"type": "object"}
			g.schemas[name] = one // before its fields: it may hold itself
			properties, required := object{}, []any{}
			g.fields(t, properties, &required)
			one["properties"] = properties
			if len(required) > 0 {
				one["required"] = required
			}
			if about := g.comments[nameOf(t)]; about != "" {
				one["description"] = about
			}
		}
		return object{"$ref": "#/components/schemas/" + name}
	default:
		panic(fmt.Sprintf("the API has a %s", t))
	}
}

func (g *generator) fields(t reflect.Type, properties object, required *[]any) {
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			g.fields(field.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		schema := g.schema(field.Type)
		if about := g.comments[nameOf(t)+"."+field.Name]; about != "" {
			schema["description"] = about
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}

// nameOf returns a type's name with its package.
func nameOf(t reflect.Type) string { return path.Base(t.PkgPath()) + "." + t.Name() }

// commentsOf reads the comments of all types in folders.
func commentsOf(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				decl, ok := n.(*ast.GenDecl)
				if !ok {
					return true
				}
				for _, spec := range decl.Specs {
					if one, ok := spec.(*ast.TypeSpec); ok {
						full := file.Name.Name + "." + one.Name.Name
						all[full] = oneLine(decl.Doc)
						if s, ok := one.Type.(*ast.StructType); ok {
							for _, field := range s.Fields.List {
								for _, name := range field.Names {
									all[full+"."+name.Name] = oneLine(field.Comment)
								}
							}
						}
					}
				}
				return true
			})
		}
	}
	return all
}

func oneLine(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.Join(strings.Fields(c.Text()), " ")
}

func TestOpenAPIIsServed(t *testing.T) {
	w := httptest.NewRecorder()
	New(panicService{}, Options{}).web().ServeHTTP(w, httptest.NewRequest(http.MethodGet, pathOpenAPI, nil))
	if w.Code != http.StatusOK {
		t.Errorf("w.Code = %v, want %v\n%+v", w.Code, http.StatusOK, w.Header())
	}
	if w.Body.String() != OpenAPI {
		t.Errorf("w.Body = %q, want %q", w.Body.String(), OpenAPI)
	}
	if w.Header().Get("Content-Type") != typeJSON {
		t.Errorf("Content-Type = %q, want %q", w.Header().Get("Content-Type"), typeJSON)
	}
}
