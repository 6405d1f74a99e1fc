package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// whatsapp compares the WhatsApp driver with a client that only posts, both against a server that
// answers every message with an id.
func whatsapp(ctx context.Context, b *bench) error {
	const connections = 64
	n := min(b.rows, 100_000)
	url, end, err := graph()
	if err != nil {
		return err
	}
	defer end()
	reference, _, err := client(ctx, url, n, connections)
	if err != nil {
		return err
	}
	token := filepath.Join(b.scratch, "token")
	if err := os.WriteFile(token, []byte("secret-token"), 0o600); err != nil {
		return err
	}
	s, err := b.newSetup(fmt.Sprintf("driver = \"whatsapp\"\nbase_url = %q\nphone_number_id = \"106540352242922\"\ntoken_file = %q\nconcurrency = %d\ncontacts = \"digits\"\non_unknown = %q", url, token, connections, b.onUnknown))
	if err != nil {
		return err
	}
	took, cpu, err := b.measure(ctx, s, n)
	if err != nil {
		return err
	}
	ours, other := float64(n)/took.Seconds(), float64(n)/reference.Seconds()
	b.atLeast("messages/s, whatsapp, 64 connections", fmt.Sprintf("%.0f (%.0f CPU seconds per 1,000,000)", ours, cpu.Seconds()*1e6/float64(n)),
		fmt.Sprintf("a client that only posts: %.0f", other), ours/other, 0.85)
	return nil
}

// graph answers every POST as Meta's API does.
func graph() (url string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the client may disconnect
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"messaging_product":"whatsapp","contacts":[{"input":"34666000111","wa_id":"34666000111"}],"messages":[{"id":"wamid.HBgLMzQ2NjYwMDAxMTEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"}]}`)
	})}
	go func() { _ = server.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}
