package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// pending measures what many pending sendings cost: an inbox may have max_drops (10,000) of them.
func pending(ctx context.Context, b *bench) error {
	const sendings, tabs = 10_000, 100
	s, err := b.newSetup(`driver = "null"`)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	web, err := s.listen()
	if err != nil {
		return err
	}
	d, err := b.run(ctx, s) // creates the store and the inbox's folders
	if err != nil {
		return err
	}
	if _, err := d.await(ctx, "ready", 1); err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	if err := s.fill(sendings); err != nil {
		return err
	}
	if d, err = b.run(ctx, s); err != nil {
		return err
	}
	ready, err := d.await(ctx, "ready", 1)
	if err != nil {
		return err
	}
	with := fmt.Sprintf(" with %d sendings pending", sendings)
	b.limit("from start to ready"+with, float64(ready.Time.Sub(d.started).Milliseconds()), "ms", 1000)
	if err := d.quiet(ctx); err != nil { // their status.json are written
		return err
	}
	for _, command := range []string{"status", "timeline"} {
		took, err := b.command(ctx, s, command)
		if err != nil {
			return err
		}
		b.limit("campaignd "+command+with, float64(took.Microseconds())/1000, "ms", 100)
	}
	token, err := os.ReadFile(filepath.Join(s.dir, "var", "http_token"))
	if err != nil {
		return err
	}
	browser := &browser{client: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}, address: web, token: strings.TrimSpace(string(token))}
	largest := 0
	pages := []string{"/", "/?page=3", "/?name=drop", "/timeline", "/channels", "/inboxes"}
	for _, page := range pages {
		size, err := browser.page(ctx, page)
		if err != nil {
			return err
		}
		largest = max(largest, size)
	}
	b.limit("the largest page of the dashboard"+with, float64(largest)/1000, "kB", 100)
	before := d.memory()
	for _, page := range []string{"/", "/timeline"} {
		share, err := browser.cost(ctx, d, page)
		if err != nil {
			return err
		}
		b.limit("a tab open on "+page+with, 100*share, "% of a core", 2)
	}
	open, endTabs := context.WithCancel(ctx)
	defer endTabs()
	for i := range tabs {
		if err := browser.open(open, pages[i%4]); err != nil {
			return err
		}
	}
	d.peak = 0
	if err := d.watch(ctx, 10*time.Second); err != nil {
		return err
	}
	b.limit(fmt.Sprintf("more memory for %d open tabs", tabs)+with, float64(d.peak-before)/(1<<20), "MiB", 64)
	endTabs()
	return d.stop()
}

// listen makes the daemon listen on a free port of loopback and returns its address.
func (s *setup) listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		return "", err
	}
	return address, os.WriteFile(s.config, append([]byte(fmt.Sprintf("listen = %q\n", address)), text...), 0o644)
}

// fill puts accepted sendings of three recipients into the store: by drops it would take minutes.
func (s *setup) fill(n int) error {
	st, err := store.Open(filepath.Join(s.dir, "var", "campaignd.db"), store.Options{NoSync: true})
	if err != nil {
		return err
	}
	var packer store.Packer
	due := time.Now().Add(24 * time.Hour)
	for i := range n {
		head := &campaign.Sending{Name: fmt.Sprintf("drop%05d", i), Inbox: s.inbox, ApplicationID: 1, CampaignID: 1}
		if err := st.Begin(head, nil); err != nil {
			return errors.Join(err, st.Close())
		}
		rows := &campaign.Rows{}
		rows.Reset(0, 1)
		for r := range 3 {
			rows.Lines = append(rows.Lines, uint32(r+2))
			rows.Channels = append(rows.Channels, 0)
			rows.Contacts.Append([]byte(strconv.Itoa(34_600_000_000 + 3*i + r)))
			rows.Values[0].Append([]byte("Ada"))
		}
		err := st.AppendRows(head.ID, []store.Packed{packer.Pack(rows)})
		if err == nil {
			head.Channels, head.Variables = []string{"bulk"}, []string{"name"}
			head.Contents = []campaign.Content{{Item: json.RawMessage(`{"body": "Hello {{name}}"}`)}}
			head.Rows.Total, head.Rows.Accepted, head.ScheduledAt = 3, 3, due.Add(time.Duration(i)*time.Second)
			_, err = st.Accept(head, store.Terms{})
		}
		if err == nil {
			err = os.Mkdir(filepath.Join(s.inbox, "accepted", head.FolderName()), 0o755)
		}
		if err != nil {
			return errors.Join(err, st.Close())
		}
	}
	return st.Close()
}

// quiet waits until the daemon has used little of a core for a second.
func (d *daemon) quiet(ctx context.Context) error {
	for {
		before := d.cpu()
		if err := d.watch(ctx, time.Second); err != nil {
			return err
		}
		if d.cpu()-before < 50*time.Millisecond {
			return nil
		}
	}
}

// watch waits and keeps the peak of memory.
func (d *daemon) watch(ctx context.Context, long time.Duration) error {
	end := time.After(long)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-d.ended:
			return fmt.Errorf("the daemon exited: %w", err)
		case <-end:
			return nil
		case <-tick.C:
			d.peak = max(d.peak, d.memory())
		}
	}
}

// command returns the time of a command of the binary, the median of five.
func (b *bench) command(ctx context.Context, s *setup, name string) (time.Duration, error) {
	var took []time.Duration
	for range 5 {
		begin := time.Now()
		out, err := exec.CommandContext(ctx, b.bin, name, "--config", s.config).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("%s: %w: %s", name, err, out)
		}
		took = append(took, time.Since(begin))
	}
	return median(took), nil
}

// browser asks for pages.
type browser struct {
	client         *http.Client
	address, token string
}

func (b *browser) get(ctx context.Context, page, accept string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.address+page, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+b.token)
	request.Header.Set("Accept", accept)
	answer, err := b.client.Do(request)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("get %s: %s", page, answer.Status), answer.Body.Close())
	}
	return answer, err
}

// page returns the size of a page in bytes.
func (b *browser) page(ctx context.Context, page string) (int, error) {
	answer, err := b.get(ctx, page, "text/html")
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, answer.Body)
	return int(n), errors.Join(err, answer.Body.Close())
}

// open keeps a tab open until ctx ends.
func (b *browser) open(ctx context.Context, page string) error {
	answer, err := b.get(ctx, page, "text/event-stream")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, answer.Body) // ends with ctx
		_ = answer.Body.Close()
	}()
	return nil
}

// cost returns the share of a core that one tab costs.
func (b *browser) cost(ctx context.Context, d *daemon, page string) (float64, error) {
	const long = 10 * time.Second
	idle := d.cpu()
	if err := d.watch(ctx, long); err != nil {
		return 0, err
	}
	before := d.cpu()
	tab, end := context.WithCancel(ctx)
	defer end()
	if err := b.open(tab, page); err != nil {
		return 0, err
	}
	if err := d.watch(ctx, long); err != nil {
		return 0, err
	}
	return max(0, (d.cpu()-before)-(before-idle)).Seconds() / long.Seconds(), nil
}
