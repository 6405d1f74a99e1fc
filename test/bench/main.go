// Command bench drives the real binary and compares it with references measured
// in the same run. It prints a table with our figure, the reference's, the ratio
// and the target (make bench). Ratios vary less between machines than figures.
//
//	bench -bin bin/campaignd [-rows 1000000] [-only NAMES] [-out FILE.md] [-plot FILE.svg]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one line of the table.
type figure struct {
	what      string
	ours      string
	reference string
	ratio     float64 // ours divided by the reference; 0: none
	target    string
	met       bool
}

// bench is one run.
type bench struct {
	bin string
	// unrecorded is the binary built with the tag unrecorded; "": not measured.
	unrecorded string
	scratch    string
	rows       int
	drops      int           // small drops
	lead       time.Duration // time before the first message of lateness
	plot       string        // output file of growth; "": none
	onUnknown  string        // of whatsapp
	figures    []figure
	more       string // Markdown that follows the table
}

// scenario measures one aspect and adds its figures.
type scenario struct {
	name string
	run  func(context.Context, *bench) error
}

func scenarios() []scenario {
	return []scenario{
		{"intake", intake},
		{"send", throughput},
		{"webhook", webhook},
		{"mail", mail},
		{"whatsapp", whatsapp},
		{"outcomes", outcomes},
		{"lateness", lateness},
		{"slots", paced},
		{"idle", idle},
		{"plan", planning},
		{"start", start},
		{"pending", pending},
		{"small", smallDrops},
		{"growth", growth},
		{"optouts", optOuts},
		{"upload", uploads},
		{"cluster", cluster},
		{"standby", standby},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{}
	flags.StringVar(&b.bin, "bin", "bin/campaignd", "the binary to measure")
	flags.StringVar(&b.unrecorded, "unrecorded", "", "the same program built with the tag unrecorded, to measure the cost of recording")
	flags.IntVar(&b.rows, "rows", 1_000_000, "rows of the large drop")
	only := flags.String("only", "", "comma-separated names of scenarios; all if empty")
	file := flags.String("out", "", "also write the table to this Markdown file, in place of the one it has")
	flags.DurationVar(&b.lead, "lead", 20*time.Second, "how long before the first of the single messages for lateness is due; a busy machine takes longer to accept them")
	flags.IntVar(&b.drops, "drops", 2000, "how many small drops are kept (100,000 take an hour)")
	flags.StringVar(&b.plot, "plot", "", "draw the growth from 10,000 rows to ten times -rows into this SVG file")
	flags.StringVar(&b.onUnknown, "on-unknown", "hold", "of the part whatsapp; retry shows what recording further ahead would gain")
	url := flags.String("client", "", "be the minimal client of this URL (the program starts itself so)")
	nats := flags.Int("nats", 0, "be a NATS server on this port of loopback (the program starts itself so)")
	folder := flags.String("store", "", "folder of the NATS server's streams")
	connections := flags.Int("connections", 64, "of the minimal client")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *nats != 0 {
		return serveNATS(*nats, *folder)
	}
	if *url != "" {
		return post(out, *url, b.rows, *connections)
	}
	var err error
	if b.scratch, err = os.MkdirTemp("", "campaignd-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch)
	for _, s := range scenarios() {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.name+",") {
			continue
		}
		fmt.Fprintf(out, "measuring %s ...\n", s.name)
		if err := s.run(ctx, b); err != nil {
			b.print(out) // keep the earlier measurements
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	b.print(out)
	if *file == "" {
		return nil
	}
	return b.write(*file)
}

// The table is between these lines of a file. Text outside them is kept.
const (
	tableBegin = "<!-- table: written by make bench -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

func (b *bench) write(path string) error {
	table := tableBegin + b.markdown() + tableEnd
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if found && ended {
		table = before + table + after
	}
	return os.WriteFile(path, []byte(table), 0o644)
}

func (b *bench) add(f figure) { b.figures = append(b.figures, f) }

// atMost adds a figure whose ratio must not exceed the target.
func (b *bench) atMost(what, ours, reference string, ratio, limit float64) {
	b.add(figure{what, ours, reference, ratio, fmt.Sprintf("at most %.2f", limit), ratio <= limit})
}

// atLeast adds a figure whose ratio must reach the target.
func (b *bench) atLeast(what, ours, reference string, ratio, limit float64) {
	b.add(figure{what, ours, reference, ratio, fmt.Sprintf("at least %.2f", limit), ratio >= limit})
}

// limit adds a figure without a reference.
func (b *bench) limit(what string, ours float64, unit string, most float64) {
	b.add(figure{what, fmt.Sprintf("%.1f %s", ours, unit), "", 0, fmt.Sprintf("at most %g %s", most, unit), ours <= most})
}

func (b *bench) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\tours\treference\tratio\ttarget\t")
	for _, f := range b.figures {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.what, f.ours, f.reference, ratio(f.ratio), f.target, verdict(f.met))
	}
	_ = w.Flush() // a terminal or pipe: nothing to save
	fmt.Fprint(out, b.more)
}

func (b *bench) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "Measured on %s, %d cores, %s, %s, on %s by `make bench`; %d rows.\n\n", machine(), runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH, runtime.Version(), time.Now().UTC().Format("2 January 2006"), b.rows)
	s.WriteString("| what | ours | reference in the same run | ratio | target | met |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, f := range b.figures {
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s |\n", f.what, f.ours, f.reference, ratio(f.ratio), f.target, verdict(f.met))
	}
	return s.String() + b.more
}

// machine returns the processor's name and the machine's memory.
func machine() string {
	name, memory := "an unnamed processor", ""
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib float64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %f kB", &kib); err == nil {
			memory = fmt.Sprintf(", %.0f GiB of memory", kib/(1<<20))
		}
	}
	return name + memory
}

func ratio(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r)
}

func verdict(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}
