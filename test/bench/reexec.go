package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// client is the reference of the webhook: a minimal client that posts bodies of
// the same size over as many connections. It runs in a process of its own, so that
// its CPU time is separate from the receiver's.
func client(ctx context.Context, url string, n, connections int) (took, cpu time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, self, "-client", url, "-rows", strconv.Itoa(n), "-connections", strconv.Itoa(connections))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("run the minimal client: %w", err)
	}
	if took, err = time.ParseDuration(string(bytes.TrimSpace(out))); err != nil {
		return 0, 0, err
	}
	return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// post runs in that process and prints the elapsed time.
func post(out io.Writer, url string, n, connections int) error {
	body := bytes.Repeat([]byte("x"), 420)
	poster := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	work := make(chan struct{}, connections)
	failed := make(chan error, connections)
	begin := time.Now()
	var wait sync.WaitGroup
	for range connections {
		wait.Go(func() {
			for range work {
				r, err := poster.Post(url, "application/json", bytes.NewReader(body))
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					continue
				}
				_, _ = io.Copy(io.Discard, r.Body) // a client that only posts ignores answers
				_ = r.Body.Close()
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	wait.Wait()
	took := time.Since(begin)
	select {
	case err := <-failed:
		return err
	default:
	}
	_, err := fmt.Fprintln(out, took)
	return err
}
