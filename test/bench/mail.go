package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// mail compares the SMTP driver with postfix's smtp-source, both sending to its smtp-sink over as
// many connections. Without these programs the row is left out.
func mail(ctx context.Context, b *bench) error {
	source, err := tool("smtp-source")
	if err != nil {
		return nil
	}
	sink, err := tool("smtp-sink")
	if err != nil {
		return nil
	}
	const connections = 16
	n := min(b.rows, 100_000)
	address, end, err := startSink(ctx, sink)
	if err != nil {
		return err
	}
	defer end()
	begin := time.Now()
	reference := exec.CommandContext(ctx, source, "-d", "-s", strconv.Itoa(connections), "-m", strconv.Itoa(n), "-l", "700", address)
	reference.Stderr = os.Stderr
	if err := reference.Run(); err != nil {
		return fmt.Errorf("run smtp-source: %w", err)
	}
	other := float64(n) / time.Since(begin).Seconds()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	s, err := b.newSetup(fmt.Sprintf("driver = \"smtp\"\nhost = \"127.0.0.1\"\nport = %s\ntls = \"none\"\nfrom = \"shop@example.com\"\nconcurrency = %d", port, connections))
	if err != nil {
		return err
	}
	s.domain = "@mail.example"
	const text = "Hello {{name}}, your ticket {{ticketId}} has been answered. Age on record: {{age}}. You can read the answer on our site at any time, and write to us again."
	if err := s.campaign(fmt.Sprintf(`{"subject": "Your ticket {{ticketId}}", "text": "%s"}`, text)); err != nil {
		return err
	}
	took, cpu, err := b.measure(ctx, s, n)
	if err != nil {
		return err
	}
	ours := float64(n) / took.Seconds()
	b.atLeast("messages/s, mail, 16 connections to smtp-sink", fmt.Sprintf("%.0f (%.0f CPU seconds per 1,000,000)", ours, cpu.Seconds()*1e6/float64(n)),
		fmt.Sprintf("smtp-source -s 16 -d: %.0f", other), ours/other, 0.6)
	return nil
}

// tool finds a program of postfix, which is outside of most users' PATH.
func tool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// startSink starts smtp-sink on a free port and returns its address once it accepts connections.
func startSink(ctx context.Context, sink string) (address string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	args := []string{address, "1000"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...) // it doesn't run as root
	}
	cmd := exec.CommandContext(ctx, sink, args...)
	cmd.Dir, cmd.Stderr = os.TempDir(), os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() {
		_ = cmd.Process.Kill() // it has no other end
		_ = cmd.Wait()
	}
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return address, end, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	end()
	return "", nil, fmt.Errorf("smtp-sink doesn't listen on %s", address)
}
