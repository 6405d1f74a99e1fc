package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"campaignd/internal/api"
)

// ErrNoDaemon is returned, wrapped, when nothing answers at the socket.
var ErrNoDaemon = errors.New("no daemon answers")

// Client calls a running daemon over its socket. It is safe for concurrent use.
// An error answer comes back as an *api.Error.
type Client struct {
	http *http.Client
}

// Dial checks that a daemon answers at socket. It keeps no connection open; Close
// ends the connections of later calls.
func Dial(socket string) (*Client, error) {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return nil, dialError(socket, err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("close %q: %w", socket, err)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	// The server redirects to clean up a path like "sendings/../resume". Following
	// it would call something else.
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{http: &http.Client{CheckRedirect: noRedirect, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, dialError(socket, err)
			}
			return conn, nil
		},
		DisableCompression: true,
	}}}, nil
}

func dialError(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s belongs to another user: run this as the daemon's user or as a member of its socket_group: %w", socket, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: start it with `campaignd run`, or name its configuration with --config", ErrNoDaemon, socket)
	default:
		return fmt.Errorf("connect to the daemon at %q: %w", socket, err)
	}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do makes one request. The path must be escaped. body may be nil, a reader, or a value to send as JSON.
// answer may be nil, a pointer to decode JSON into, or a function that reads the response as it streams.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	target := "http://campaignd" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case io.Reader:
		reader, contentType = b, typeCSV
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("write request: %w", err)
		}
		reader, contentType = bytes.NewReader(data), typeJSON
	}
	req, err := http.NewRequestWithContext(ctx, method, target, reader)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the made-up address of the socket
		}
		if errors.Is(err, ErrNoDaemon) || ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("call the daemon: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answerError(resp)
	}
	switch a := answer.(type) {
	case nil:
		return nil
	case func(*http.Response) error:
		return a(resp)
	default:
		if err := json.NewDecoder(resp.Body).Decode(a); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return nil
	}
}

// answerError reads the *api.Error of an answer.
func answerError(resp *http.Response) error {
	var wrapped struct{ Error *api.Error }
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxJSON))
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if json.Unmarshal(data, &wrapped) != nil || wrapped.Error == nil || wrapped.Error.Message == "" {
		return &api.Error{Code: api.CodeInternal, Message: fmt.Sprintf("the daemon answered %s", resp.Status)}
	}
	return wrapped.Error
}
