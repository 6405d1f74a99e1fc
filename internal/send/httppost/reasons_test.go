package httppost

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The reason of a request without an answer names the host, and the cause in as few words as possible.
func TestUnansweredNamesTheHost(t *testing.T) {
	u, err := url.Parse("https://hooks.example:8443/in?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{URL: u, Timeout: 30 * time.Second})
	defer c.Close()
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for name, test := range map[string]struct {
		f    Failure
		want string
	}{
		"refused":     {Failure{Err: dial(syscall.ECONNREFUSED)}, "hooks.example:8443 can't be reached: connection refused"},
		"no name":     {Failure{Err: &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host"}}}, "hooks.example:8443 can't be reached: the host's name can't be resolved"},
		"silent":      {Failure{Err: os.ErrDeadlineExceeded, TimedOut: true}, "hooks.example:8443 can't be reached: nothing within 30s"},
		"half":        {Failure{Err: io.ErrUnexpectedEOF, Reach: PartlyWritten}, "the request could not be written: the connection was closed"},
		"not decided": {Failure{Err: errors.New("odd"), Reach: Written}, "the request was written, but no answer came: the answer was not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.Unanswered(context.Background(), test.f, Words{}).Detail
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("%q has a part of the url's query", got)
			}
		})
	}
}
