package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"campaignd/internal/plan/spreadsheet/sheettest"
)

// patience limits a script's wait for a fact. It is long since CI may be slow;
// nobody waits for it who need not.
const patience = 60 * time.Second

// daemonCommands are what scripts with a running daemon need.
func daemonCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"waitfile": waitFile,
		"waitend":  waitEnd,
		"signal":   signalAll,
		"receiver": receiver,
		"release":  release,
		"readme":   readme,
		"steady":   steady,
		"keys":     keys,
		"csv":      makeCSV,
		"xlsx":     makeSheet,
	}
}

// setup says where the checkout is, for scripts that need its examples.
func setup(env *testscript.Env) error {
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	env.Setenv("REPO", repo)
	env.Values["receiver"] = &server{}
	return err
}

// poll waits until ok.
func poll(ts *testscript.TestScript, what string, ok func() bool) {
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// waitFile is "waitfile GLOB [REGEXP]": a file of that name is there, and holds that.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: waitfile GLOB [REGEXP]")
	}
	want := regexp.MustCompile("")
	if len(args) == 2 {
		want = regexp.MustCompile("(?m)" + args[1])
	}
	poll(ts, "waitfile "+strings.Join(args, " "), func() bool {
		names, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, name := range names {
			if text, err := os.ReadFile(name); (err == nil || len(args) == 1) && want.Match(text) {
				return true
			}
		}
		return false
	})
}

// waitEnd is "waitend SECONDS": all background commands end within that time. How they
// ended is for wait to say.
func waitEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitend SECONDS")
	}
	limit, err := time.ParseDuration(args[0] + "s")
	ts.Check(err)
	begin := time.Now()
	poll(ts, "waitend", func() bool {
		for _, c := range ts.BackgroundCmds() {
			if stat, err := os.ReadFile("/proc/" + strconv.Itoa(c.Process.Pid) + "/stat"); err == nil && !bytes.Contains(stat, []byte(") Z ")) {
				return false
			}
		}
		return true
	})
	if took := time.Since(begin); took > limit {
		ts.Fatalf("it took %v to end", took)
	}
}

// signalAll is "signal TERM|HUP": what runs in the background gets the signal.
func signalAll(ts *testscript.TestScript, neg bool, args []string) {
	sig, ok := map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[strings.Join(args, " ")]
	if neg || !ok {
		ts.Fatalf("usage: signal TERM|HUP")
	}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(sig))
	}
}

// server is a loopback receiver of webhooks that answers when it is let.
type server struct {
	gate chan struct{}
	once sync.Once
}

// receiver is "receiver FILE": a server on loopback that writes every message it gets to
// FILE and answers after release; $RECEIVER is its address.
func receiver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: receiver FILE")
	}
	s := ts.Value("receiver").(*server)
	s.gate = make(chan struct{})
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	ts.Check(err)
	var mu sync.Mutex // guards file
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		mu.Lock()
		_, werr := file.Write(append(text, '\n'))
		mu.Unlock()
		<-s.gate
		if err != nil || werr != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Setenv("RECEIVER", srv.URL)
	ts.Defer(func() {
		s.open()
		srv.Close()
		_ = file.Close()
	})
}

func (s *server) open() { s.once.Do(func() { close(s.gate) }) }

// release lets the receiver answer, what waits and what will come.
func release(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("receiver").(*server).open() }

// readme is "readme HEADING FILE": the first code block below a heading of README.md.
func readme(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readme HEADING FILE")
	}
	text, err := os.ReadFile(filepath.Join(ts.Getenv("REPO"), "README.md"))
	ts.Check(err)
	_, text, found := bytes.Cut(text, []byte("\n## "+args[0]+"\n"))
	_, text, opened := bytes.Cut(text, []byte("```sh\n"))
	text, _, closed := bytes.Cut(text, []byte("```"))
	if !found || !opened || !closed {
		ts.Fatalf("README.md has no code below %q", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o644))
}

// steady is "steady GLOB FILE": the one file of that name is copied to FILE with ids and
// instants replaced, so that it can be compared.
func steady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: steady GLOB FILE")
	}
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) != 1 {
		ts.Fatalf("%s: %d files", args[0], len(names))
	}
	text := ts.ReadFile(names[0])
	for _, one := range [][2]string{{`\d{8}-\d{6}`, "ID"}, {`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`, "TIME"}} {
		text = regexp.MustCompile(one[0]).ReplaceAllString(text, one[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// keys is "keys FILE N LOG": the outbox FILE holds N different keys, and none more often
// than once beyond what LOG says was in flight at a kill.
func keys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: keys FILE N LOG")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	inFlight := 0
	for _, found := range regexp.MustCompile(`"resentUnderTheirKey":(\d+)`).FindAllStringSubmatch(ts.ReadFile(args[2]), -1) {
		n, err := strconv.Atoi(found[1])
		ts.Check(err)
		inFlight += n
	}
	seen, twice := map[string]bool{}, 0
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0])))
	for lines.Scan() {
		var m struct{ Key string }
		ts.Check(json.Unmarshal(lines.Bytes(), &m))
		if seen[m.Key] {
			twice++
		}
		seen[m.Key] = true
	}
	ts.Check(lines.Err())
	ts.Logf("%d keys, %d twice, %d were in flight", len(seen), twice, inFlight)
	if len(seen) != want || twice > inFlight {
		ts.Fatalf("%d keys, want %d; %d lines more, and %d messages were in flight", len(seen), want, twice, inFlight)
	}
}

// makeCSV is "csv FILE N": a CSV of N recipients, contactCode and name.
func makeCSV(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: csv FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := bytes.NewBufferString("contactCode,name\n")
	for i := range n {
		b.WriteString(strconv.Itoa(34600000000+i) + ",Ada\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// makeSheet is "xlsx FILE CSV": a workbook with the cells of a CSV.
func makeSheet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: xlsx FILE CSV")
	}
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[1]))).ReadAll()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), sheettest.Simple(rows...), 0o644))
}
