package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/test/programs"
)

// maxLate is how late a message may be at a handover.
const maxLate = 3 * time.Second

// pace makes the application send at a steady rate: 40 messages a second, each with its own due time.
func (p *pair) pace() {
	p.t.Helper()
	for _, config := range []string{p.config, p.standby} {
		text, err := os.ReadFile(config)
		p.must(err)
		p.write(config, strings.Replace(string(text), `timezone = "UTC"`, `timezone = "UTC"
slicing = {enabled = true, activation_recipients = 2, slot = "10s", capacity = 400, pacing = "even"}`, 1))
	}
}

// handOver hands over from the hub with a configuration, and waits for its end.
func (p *pair) handOver(config string, hub *process) {
	p.t.Helper()
	hubs := p.world.config
	p.world.config = config
	out, err := p.run("handover")
	p.world.config = hubs
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.logs())
	}
	if !strings.Contains(out, "leads now") {
		p.t.Errorf("handover says %q, want that the other leads", out)
	}
	p.ends("the hub", hub)
	if code := hub.Cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("the hub's exit status after a handover is %d, want 0", code)
	}
}

// judgeHandover judges a campaign during which the lead was handed over.
func (p *pair) judgeHandover(name string, rows int) {
	p.t.Helper()
	p.judge(name, rows, 0, 0)
	late := p.hook.latest()
	p.t.Logf("the latest message was %s late", late.Round(time.Millisecond))
	if late > maxLate {
		p.t.Errorf("a message was %s late, want at most %s", late, maxLate)
	}
}

// At a handover messages wait for the standby, but none is lost, in doubt or late.
func TestNoMessageIsLateAtAHandover(t *testing.T) {
	for round := range rounds(t) {
		for _, from := range []string{"here", "workers"} {
			t.Run(fmt.Sprint(from, " ", round), func(t *testing.T) {
				p := newPair(t, 20*time.Millisecond, from)
				p.pace()
				p.begin()
				p.workersFor(from)
				const rows = 800
				p.drop("spring", viaHold, rows)
				p.arrived(100 + 53*round)
				p.handOver(p.config, p.host)
				p.judgeHandover("spring", rows)
			})
		}
	}
}

// The standby is upgraded, leads after a handover and brings the store to its version; then the other
// is upgraded. Until then the other refuses the newer store. No message is lost, doubled or late.
func TestAnUpgradeOfBothWithAMigration(t *testing.T) {
	for round := range rounds(t) {
		for _, from := range []string{"here", "workers"} {
			t.Run(fmt.Sprint(from, " ", round), func(t *testing.T) {
				next := nextVersion(t)
				p := newPair(t, 20*time.Millisecond, from)
				p.pace()
				p.begin()
				p.workersFor(from)
				const rows = 2000
				p.drop("spring", viaHold, rows)
				p.arrived(100)

				p.second.signal(syscall.SIGTERM)
				p.ends("the standby", p.second)
				upgraded := p.start("standby-upgraded", nil, next, "run", "--standby", "--config", p.standby)
				p.until(20*time.Second, "the upgraded standby is ready", func() bool { return p.placeOf(p.config).Replication.Ready })
				p.handOver(p.config, p.host)
				p.leads(p.standby)

				older := p.start("older", nil, binary, "run", "--standby", "--config", p.config)
				p.until(20*time.Second, "the older standby refuses the newer store", func() bool {
					return strings.Contains(p.placeOf(p.config).Replication.Problem, "install that version here, too")
				})
				if p.placeOf(p.config).Replication.Ready {
					t.Error("the older standby calls itself ready with a newer store")
				}
				p.says("older", "install that version here, too")
				older.signal(syscall.SIGTERM)
				p.ends("the older standby", older)

				second := p.start("hub-upgraded", nil, next, "run", "--standby", "--config", p.config)
				p.until(20*time.Second, "the other is ready, too", func() bool { return p.placeOf(p.standby).Replication.Ready })
				p.handOver(p.standby, upgraded)
				p.leads(p.config)
				p.judgeHandover("spring", rows)
				diagnose := func(config string) {
					t.Helper()
					if out, err := programs.Run(time.Minute, p.dir, next, config, "doctor", "--deep"); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				}
				diagnose(p.config)
				p.start("standby-again", nil, next, "run", "--standby", "--config", p.standby)
				p.until(20*time.Second, "the first one upgraded is ready again", func() bool { return p.placeOf(p.config).Replication.Ready })
				p.handOver(p.config, second)
				p.leads(p.standby)
				diagnose(p.standby)
			})
		}
	}
}

// nextVersion builds campaignd with one migration more: as the next version of it could be.
func nextVersion(t *testing.T) string {
	t.Helper()
	const migrations = "addReplies, addAttempts}"
	original, err := filepath.Abs("../../internal/store/schema.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), migrations) {
		t.Fatalf("%s doesn't end its list of migrations with %q", original, migrations)
	}
	changed := strings.Replace(string(text), migrations, strings.TrimSuffix(migrations, "}")+", addNext}", 1) + `
// addNext stands for the migration of the next version: a bucket with an entry for each sending.
func addNext(t *bbolt.Tx) error {
	b, err := t.CreateBucket([]byte("next"))
	if err != nil {
		return err
	}
	return t.Bucket(bucketSendings).ForEach(func(k, v []byte) error { return b.Put(k, v[:min(len(v), 8)]) })
}
`
	dir := t.TempDir()
	replaced, overlay, built := filepath.Join(dir, "schema.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "campaignd")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: replaced}})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{replaced: []byte(changed), overlay: list} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-overlay", overlay, "-o", built, "campaignd/cmd/campaignd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	return built
}
