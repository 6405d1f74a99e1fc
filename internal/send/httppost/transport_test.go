package httppost

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// compressed returns text in an encoding.
func compressed(encoding, text string) string {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if encoding == "deflate" {
		w = zlib.NewWriter(&b)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// Written bytes are counted, and nothing is written after stopWriting.
func TestClosableConn(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &closableConn{Conn: near}
	go func() { _, _ = far.Read(make([]byte, 3)); far.Close() }()
	if n, err := c.Write([]byte("12345")); n != 3 || err == nil || c.count() != 3 {
		t.Errorf("wrote %d, %v, counted %d; want 3 of 5", n, err, c.count())
	}
	if got := c.stopWriting(); got != 3 {
		t.Errorf("got %d bytes at the end; want 3", got)
	}
	if _, err := c.Write([]byte("6")); err == nil || c.count() != 3 {
		t.Errorf("got error %v, %d bytes after the end; want an error, 3 bytes", err, c.count())
	}
}

// The outcome of a partly written request is unknown after its timeout. A request that was still
// waiting was not sent.
func TestTransportWritesPartly(t *testing.T) {
	for taken, want := range map[int]Reach{0: NotReached, 1: Written} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe() // a write returns once all of it is read
			go func() { _, _ = io.ReadFull(far, make([]byte, taken)) }()
			c := client(t, "http://example.test", func(o *Options) { o.Timeout = time.Second })
			c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return &closableConn{Conn: near}, nil }
			c.transport.Proxy = nil
			if _, _, f := c.postViaTransport(t.Context(), nil, []byte(`{}`)); f.Err == nil || f.Reach != want {
				t.Errorf("got %+v after %d bytes; want reach %d", f, taken, want)
			}
			c.Close()
			_ = far.Close()
		})
	}
}

func TestTimeoutBeforeAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, "http://example.test", func(o *Options) { o.Timeout = time.Second })
		c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Minute)
			return nil, net.ErrClosed
		}
		c.transport.Proxy = nil
		if _, _, f := c.postViaTransport(t.Context(), nil, []byte(`{}`)); !f.TimedOut || f.Reach != NotReached {
			t.Errorf("got %+v; want a timeout with reach %d", f, NotReached)
		}
		time.Sleep(time.Minute) // net/http continues a dial for the next request
	})
}
