// Package dashboard renders the daemon's pages for browsers: sendings and their
// progress, the slots of the next 48 hours, channels and inboxes (docs/contract.md
// 10). Pages are complete HTML with charts as SVG and work without a script. The
// only script keeps them up to date (see live.go) and opens dialogs.
//
// It is separate from package control, which speaks JSON and decides who may call.
// It keeps no state of sendings: everything goes through Service. It never shows a
// contact: results and the messages of a dry run stay in files.
//
// Errors are shown to the caller in the words of api.Error; the daemon's own
// failures are logged as well.
package dashboard

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

// Service is the part of the daemon that the pages use.
type Service interface {
	control.Sendings
	control.Timetable
	control.Upkeep

	// Throughput counts a sending's results over time. It may be slow for a large one.
	Throughput(ctx context.Context, id campaign.ID) (api.Throughput, error)
}

//go:embed templates/*.html
var templateFiles embed.FS

// policy restricts a page to this server and to the one script file. Inline
// scripts and styles are blocked, so markup in a name can't do anything.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Dashboard serves the pages. It implements control.Pages and relies on the guard
// of control.Server. New creates it.
type Dashboard struct {
	service Service
	log     *slog.Logger
	mux     *http.ServeMux
	pages   *template.Template
	assets  assets
	cache   cache
	parts   partCache

	streams atomic.Int32
	ending  chan struct{} // closed to end all streams
	once    sync.Once     // closes it
}

var _ control.Pages = (*Dashboard)(nil)

// New creates a dashboard. An error means that a template or an embedded file is
// broken.
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
		d.WriteError(w, r, &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("There is no page %q.", r.URL.Path)})
	})
	return d, nil
}

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// Close implements control.Pages.
func (d *Dashboard) Close() { d.once.Do(func() { close(d.ending) }) }

// view is one page: its fixed content, and the regions that are updated.
type view struct {
	Title   string
	Nav     string // path of its entry in the navigation
	Body    string // template of its content
	Data    any
	Regions []region
	Caller  control.Caller
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

// Has reports whether the view has a region, for templates.
func (v *view) Has(name string) bool {
	return slices.ContainsFunc(v.Regions, func(one region) bool { return one.Name == name })
}

// Region returns the content of a region, for templates.
func (v *view) Region(name string) template.HTML {
	var b strings.Builder
	for _, one := range v.Regions {
		if one.Name == name {
			for _, p := range one.Parts {
				b.WriteString(string(p.HTML))
			}
		}
	}
	return template.HTML(b.String()) // templates rendered the parts
}

// build renders a page's regions from the current state.
type build func(r *http.Request, l viewer) (*view, error)

// page answers with a whole page or, if the script asks for it, with a stream of
// changes.
func (d *Dashboard) page(make build) http.HandlerFunc {
	// One rendering serves everybody who looks at the same page in the same time zone.
	whole := func(r *http.Request, zone *time.Location) (*view, error) {
		return cached(&d.cache, "page "+zone.String()+" "+r.URL.RequestURI(), maxAge, func() (*view, error) {
			l := viewer{zone, time.Now()}
			v, err := make(r, l)
			if err != nil {
				return nil, err
			}
			frame, err := d.frame(r.Context(), l)
			if err != nil {
				return nil, err
			}
			v.Regions = append(v.Regions, frame...)
			return v, nil
		})
	}
	return func(w http.ResponseWriter, r *http.Request) {
		zone := viewerOf(r).zone
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			d.stream(w, r, func() (*view, error) { return whole(r, zone) })
			return
		}
		shared, err := whole(r, zone)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		v := *shared
		v.Caller = control.CallerOf(r.Context())
		d.write(w, http.StatusOK, "layout", &v)
	}
}

// fail answers with err and logs it if it is the daemon's own.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer, ok := errors.AsType[*api.Error](err)
	if !ok {
		if r.Context().Err() != nil {
			answer = &api.Error{Code: api.CodeUnavailable, Message: "The request was canceled."}
		} else {
			d.log.Error("make page", "path", r.URL.Path, "err", err)
			answer = &api.Error{Code: api.CodeInternal, Message: "The daemon failed, see its log: " + err.Error()}
		}
	}
	d.WriteError(w, r, answer)
}

// WriteError implements control.Pages.
func (d *Dashboard) WriteError(w http.ResponseWriter, r *http.Request, err *api.Error) {
	if err.Code == api.CodeUnauthorized && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		d.toLogin(w, r)
		return
	}
	d.write(w, err.Code.Status(), "error", errorPage{Title: headline(err.Code), Message: sentence(err.Message), Back: back(r), Caller: control.CallerOf(r.Context())})
}

// list renders a region with a part for each of n rows: row returns its id and its data.
func (d *Dashboard) list(name, template string, n int, row func(i int) (id string, data any)) (region, error) {
	list := region{Name: name}
	for i := range n {
		id, data := row(i)
		p, err := d.part(id, template, data)
		if err != nil {
			return list, err
		}
		list.Parts = append(list.Parts, p)
	}
	return list, nil
}

// part renders a template into a part, unless the part was last rendered from the same data.
func (d *Dashboard) part(id, name string, data any) (part, error) {
	if html, ok := d.parts.get(id, data); ok {
		return part{id, html}, nil
	}
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, data); err != nil {
		return part{}, fmt.Errorf("render %s: %w", name, err)
	}
	html := template.HTML(display.Text(b.String()))
	d.parts.put(id, data, html)
	return part{id, html}, nil
}

// write renders a page completely before writing it, so that an error leaves no half page.
func (d *Dashboard) write(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, data); err != nil {
		d.log.Error("render page", "template", name, "err", err)
		http.Error(w, "The daemon failed; see its log.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Vary", "Accept, Cookie")
	w.WriteHeader(status)
	if _, err := io.WriteString(w, display.Text(b.String())); err != nil {
		d.log.Debug("write page", "err", err)
	}
}

// How long an answer of the daemon is shown to others who ask the same.
const (
	maxAge           = 900 * time.Millisecond
	maxThroughputAge = 4 * time.Second
)
