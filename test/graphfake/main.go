// Command graphfake serves the fake of WhatsApp's Cloud API on a loopback address, for
// `make demo-whatsapp`. It prints a line for every message and its answer. Its exit
// status is 1 if a request was invalid.
//
// The answer depends on the end of the contact's number, so that a demo shows more than
// success: 01 is undeliverable, 02 is throttled once, 03 has opted out, 04 is held for
// quality assessment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"campaignd/internal/send/whatsapp/graphfake"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "graphfake:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("graphfake", flag.ContinueOnError)
	address := flags.String("listen", "127.0.0.1:0", "address to listen on")
	file := flags.String("address-file", "", "file to write the address to")
	rate := flags.Int("rate", 0, "limit of messages per second (130429); 0: none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fake := graphfake.New(graphfake.Options{Rate: *rate})
	fake.Answers((&answers{out: out, asked: map[string]bool{}}).to)
	l, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	if *file != "" {
		if err := os.WriteFile(*file, []byte(l.Addr().String()), 0o600); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil {
		return err
	}
	<-ended
	if faults := fake.Faults(); len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	fmt.Fprintf(out, "%d well-formed requests, %d messages accepted, no faults\n", fake.Count(), len(fake.Accepted()))
	return nil
}

// answers chooses the answer by the end of the number.
type answers struct {
	mu    sync.Mutex // guards the fields below
	out   io.Writer
	asked map[string]bool
}

func (a *answers) to(m graphfake.Message) graphfake.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	again := a.asked[m.To]
	a.asked[m.To] = true
	answer, word := graphfake.Answer{}, "accepted"
	switch m.To[len(m.To)-2:] {
	case "01":
		answer.Code, word = 131026, "131026: undeliverable"
	case "02":
		if !again {
			answer.Code, word = 131056, "131056: too many to this contact"
		}
	case "03":
		answer.Code, word = 131050, "131050: has opted out"
	case "04":
		answer.MessageStatus, word = "held_for_quality_assessment", "held for quality assessment"
	}
	fmt.Fprintf(a.out, "%s  %s  %s\n", m.Key, m.Content, word)
	return answer
}
