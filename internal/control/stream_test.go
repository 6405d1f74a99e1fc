package control

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// slow is a Service whose methods take longer than an answer may. It
// stops when its caller has gone.
type slowService struct{ Service }

func (slowService) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(3 * pieceTimeout):
		return nil
	}
}

func (slowService) Resolve(context.Context, string, string) (campaign.ID, error) {
	return "20260314-000042", nil
}

func (s slowService) Results(ctx context.Context, _ campaign.ID, _ api.ResultsFilter, w io.Writer) error {
	for i := range 3 {
		if err := s.wait(ctx); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, i); err != nil {
			return err
		}
	}
	return s.wait(ctx)
}

func (s slowService) Doctor(ctx context.Context, _ bool) ([]api.Finding, error) {
	return []api.Finding{{Check: "store"}}, s.wait(ctx)
}

func (s slowService) ImportOptOuts(ctx context.Context, _ int64, csv io.Reader, _ string) (api.Imported, error) {
	data, err := io.ReadAll(csv)
	if err != nil {
		return api.Imported{}, err
	}
	return api.Imported{Rows: len(data)}, s.wait(ctx)
}

func (s slowService) Pause(ctx context.Context, _ campaign.ID, _ string) (api.Change, error) {
	return api.Change{}, s.wait(ctx)
}

// pipes is a listener without a network, for tests in virtual time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// drip is a body that arrives in pieces, each just in time.
type slowBody struct{ left int }

func (d *slowBody) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	d.left--
	time.Sleep(pieceTimeout - time.Second)
	return copy(p, "x"), nil
}

func TestLongWorkOutlivesTheDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(pipes)
		server := New(slowService{}, Options{}).socketServer()
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		c := &Client{http: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				listener <- far
				return near, nil
			},
		}}}
		var out bytes.Buffer
		if err := c.Results(t.Context(), "42", api.ResultsFilter{}, &out); err != nil || out.String() != "0\n1\n2\n" {
			t.Errorf("results: %q, %v", out.String(), err)
		}
		if list, err := c.Doctor(t.Context(), true); err != nil || len(list) != 1 {
			t.Errorf("doctor: %v, %v", list, err)
		}
		if r, err := c.ImportOptOuts(t.Context(), 0, &slowBody{left: 5}); err != nil || r.Rows != 5 {
			t.Errorf("import: %v, %v", r, err)
		}
		if _, err := c.Pause(t.Context(), "42"); err != nil {
			t.Errorf("pause: %v", err)
		}
		// The work ends when its caller goes away.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Pause(ctx, "42"); err == nil {
			t.Error("pause went on without its caller")
		}
		// A stalled body ends the request.
		stuck, stop := io.Pipe()
		begun := time.Now()
		_, err := c.ImportOptOuts(t.Context(), 0, stuck)
		switch {
		case err == nil:
			t.Error("import that hangs: got no error")
		case strings.Contains(err.Error(), "rows"):
			t.Errorf("import that hangs: err = %q, want no \"rows\" in it", err.Error())
		case time.Since(begun) > 3*pieceTimeout:
			t.Errorf("import that hangs: time.Since(begun) = %v, want at most %v", time.Since(begun), 3*pieceTimeout)
		}
		if err := stop.Close(); err != nil {
			t.Error(err)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}
