// Package dashboard is what people see of a daemon in a browser: its sendings and
// how far each of them is, the slots of the next 48 hours and who holds them,
// its channels and its inboxes (SPEC 10). Pages come whole from the server, with
// pictures as SVG, and work without a script; the one script there is keeps them
// up to date (see live.go) and opens dialogs.
//
// It is a room of its own because control speaks JSON and decides who may ask,
// and neither should know what a page looks like. It holds no state of sendings:
// all it shows and does goes through Service. It never shows a contact:
// results and the messages of a dry run stay in the files.
//
// It starts no goroutine. What goes wrong is shown to who asked, in words of
// control.Error; the daemon's own failures are logged besides.
package dashboard

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// Service is what the pages ask of the daemon.
type Service interface {
	control.Sendings
	control.Timetable
	control.Upkeep

	// Pace is how fast a sending went. It may take a while for a large one.
	Throughput(ctx context.Context, id campaign.ID) (control.Throughput, error)
}

//go:embed templates/*.html
var templateFiles embed.FS

// policy lets a page load from this server alone, and run no script but the one
// file. Nothing inline works, so a name with markup in it would find no way.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Dashboard serves the pages. It is a control.Pages: make it with New and give it
// to a control.Server, whose guard it relies on.
type Dashboard struct {
	service Service
	log     *slog.Logger
	mux     *http.ServeMux
	pages   *template.Template
	assets  assets
	memory  memory

	streams atomic.Int32
	ending  chan struct{} // closed when streams are to end
	once    sync.Once     // closes it
}

var _ control.Pages = (*Dashboard)(nil)

// New makes a dashboard. The error is of a template or an embedded file, and so
// one of the program itself.
func New(service Service, log *slog.Logger) (*Dashboard, error) {
	d := &Dashboard{service: service, log: log, mux: http.NewServeMux(), ending: make(chan struct{})}
	var err error
	if d.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	d.pages, err = template.New("").Funcs(template.FuncMap{"asset": d.assets.path}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	d.mux.Handle("GET "+control.PathAssets, d.assets)
	d.mux.HandleFunc("GET "+control.PathLogin, d.login)
	d.mux.HandleFunc("GET /{$}", d.page(d.sendings))
	d.mux.HandleFunc("GET /sendings/{id}", d.page(d.sending))
	d.mux.HandleFunc("GET /sendings/{id}/{verb}", d.page(d.confirm))
	d.mux.HandleFunc("POST /sendings/{id}/{verb}", d.change)
	d.mux.HandleFunc("GET /timeline", d.page(d.timeline))
	d.mux.HandleFunc("GET /channels", d.page(d.channels))
	d.mux.HandleFunc("GET /inboxes", d.page(d.inboxes))
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.Sorry(w, r, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("There is no page %q.", r.URL.Path)})
	})
	return d, nil
}

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// Close implements control.Pages.
func (d *Dashboard) Close() { d.once.Do(func() { close(d.ending) }) }

// view is one page: what stays, and the regions that move by themselves.
type view struct {
	Title   string
	Nav     string // path of the navigation's entry it belongs to
	Body    string // template of its content
	Data    any
	Regions []region
	Visit   control.Visit
}

// region is a list of parts in an element with the attribute data-region.
type region struct {
	Name  string
	Parts []part
}

// part is an element with that id.
type part struct {
	ID   string
	HTML template.HTML
}

// Region is the content of a region, for templates.
func (v *view) Region(name string) template.HTML {
	var b strings.Builder
	for _, one := range v.Regions {
		if one.Name == name {
			for _, p := range one.Parts {
				b.WriteString(string(p.HTML))
			}
		}
	}
	return template.HTML(b.String()) // parts were made by templates
}

// build makes a view of what is the case now.
type build func(r *http.Request, l look) (*view, error)

// page answers with a whole page or, to a script that asks for one, with a
// stream of what changes in it.
func (d *Dashboard) page(make build) http.HandlerFunc {
	whole := func(r *http.Request) (*view, error) {
		l := lookOf(r)
		v, err := make(r, l)
		if err != nil {
			return nil, err
		}
		frame, err := d.frame(r.Context(), l)
		if err != nil {
			return nil, err
		}
		v.Regions = append(v.Regions, frame...)
		v.Visit = control.VisitOf(r.Context())
		return v, nil
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			d.stream(w, r, whole)
			return
		}
		v, err := whole(r)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		d.write(w, http.StatusOK, "layout", v)
	}
}

// fail answers with err and logs the daemon's own.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer, ok := errors.AsType[*control.Error](err)
	if !ok {
		if r.Context().Err() != nil {
			answer = &control.Error{Code: control.CodeUnavailable, Message: "The request was given up."}
		} else {
			d.log.Error("make page", "path", r.URL.Path, "err", err)
			answer = &control.Error{Code: control.CodeInternal, Message: "The daemon met an error of its own. Its log says more: " + err.Error()}
		}
	}
	d.Sorry(w, r, answer)
}

// Sorry implements control.Pages.
func (d *Dashboard) Sorry(w http.ResponseWriter, r *http.Request, err *control.Error) {
	if err.Code == control.CodeUnauthorized && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		d.toLogin(w, r)
		return
	}
	d.write(w, err.Code.Status(), "sorry", sorryPage{Title: headline(err.Code), Message: sentence(err.Message), Back: back(r), Visit: control.VisitOf(r.Context())})
}

// part renders a template into a part.
func (d *Dashboard) part(id, name string, data any) (part, error) {
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, data); err != nil {
		return part{}, fmt.Errorf("render %s: %w", name, err)
	}
	return part{id, template.HTML(b.String())}, nil
}

// write renders a page. It is written when it is whole, so that an error is no half page.
func (d *Dashboard) write(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, data); err != nil {
		d.log.Error("render page", "template", name, "err", err)
		http.Error(w, "The daemon met an error of its own; its log says more.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Vary", "Accept, Cookie")
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		d.log.Debug("write page", "err", err)
	}
}

// How long an answer of the daemon is shown to others who ask the same.
const (
	fresh     = 900 * time.Millisecond
	freshPace = 4 * time.Second
)
