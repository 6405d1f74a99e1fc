//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/test/programs"
)

// world is a machine with partners: their accounts, a real sshd with chroots, and the
// daemon under its own user with CAP_LEASE only, as in the unit.
type world struct {
	t       *testing.T
	root    string // below /srv: sshd requires that root owns every folder down to the chroot
	bin     string
	config  string
	log     string
	port    string
	group   string
	daemon  *user.User
	shop    *partner
	other   *partner
	plain   *partner // the inbox's defaults make a CSV alone a drop
	process *programs.Process
}

// partner is an account and its inbox.
type partner struct {
	w     *world
	name  string
	key   string // private
	inbox string // path for the daemon; the account sees /inbox
}

const configText = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
[log]
level = "debug"
[[inboxes]]
path = %[3]q
application = 1
[[applications]]
id = 1
timezone = "UTC"
duplicate_window = "0s"
[applications.channels.box]
driver = "outbox"
path = %[4]q
[[applications]]
id = 2
timezone = "UTC"
duplicate_window = "0s"
[applications.channels.box]
driver = "outbox"
path = %[4]q
`

// Times of partners' inboxes. settle is the default: clients stat a file after
// they have written it, and this machine may be busy.
const (
	settle       = 2 * time.Second
	unterminated = 4 * time.Second
	patience     = 3 * time.Minute // for any fact on a loaded machine
)

// newWorld sets everything up, or skips with a reason.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SFTP end to end: accounts and a chroot need root")
	}
	for _, tool := range []string{"sshd", "ssh-keygen", "useradd", "userdel", "install"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SFTP end to end: %s isn't available", tool)
		}
	}
	id := strconv.Itoa(os.Getpid())
	w := &world{t: t, group: "cde2e" + id}
	var err error
	w.root, err = os.MkdirTemp("/srv", "campaignd-e2e-")
	w.must(err)
	t.Cleanup(func() { w.must(os.RemoveAll(w.root)) })
	w.must(os.Chmod(w.root, 0o755))
	w.bin, w.config, w.log = filepath.Join(w.root, "campaignd"), filepath.Join(w.root, "campaignd.toml"), filepath.Join(w.root, "campaignd.log")
	w.command("go", "build", "-o", w.bin, "campaignd/cmd/campaignd")
	w.account(w.group+"d", "--system", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin")
	w.daemon, err = user.Lookup(w.group + "d")
	w.must(err)
	w.folders()
	t.Cleanup(func() { w.try("groupdel", w.group) }) // after its members were removed
	const waits = `sidecar_wait = "5m"`
	w.shop, w.other = w.partner("a", 1, waits), w.partner("b", 2, waits)
	w.plain = w.partner("c", 1, "layout = \"columns\"\nsidecar_wait = \"2s\"")
	w.sshd()
	w.start()
	return w
}

// folders creates configuration, campaigns and state.
func (w *world) folders() {
	w.t.Helper()
	state, campaigns, own := filepath.Join(w.root, "state"), filepath.Join(w.root, "campaigns"), filepath.Join(w.root, "inbox")
	for _, dir := range []string{state, campaigns, own} {
		w.must(os.Mkdir(dir, 0o755))
		w.must(os.Chown(dir, w.uid(), w.gid()))
	}
	w.write(w.config, fmt.Sprintf(configText, state, campaigns, own, filepath.Join(state, "outbox.jsonl")))
	for _, application := range []int{1, 2} {
		w.write(filepath.Join(campaigns, fmt.Sprint(application, ".json")), fmt.Sprintf(
			`{"id": %d, "applicationId": %d, "title": "t", "enabled": true, "channelTypes": ["box"], "messageContent": [{"body": "Hello {{name}}"}]}`,
			7*application, application))
	}
}

// partner creates an account as an operator does, with `campaignd partner add --make`. keys are more lines of its inbox.
func (w *world) partner(letter string, application int, keys string) *partner {
	w.t.Helper()
	p := &partner{w: w, name: w.group + letter, key: filepath.Join(w.root, "key-"+letter)}
	p.inbox = filepath.Join(w.root, "partners", p.name, "inbox")
	w.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", p.key)
	w.t.Cleanup(func() { w.try("userdel", p.name) })
	w.retried(w.bin, "partner", "add", p.name, "--config", w.config, "--application", fmt.Sprint(application), "--campaign", fmt.Sprint(7*application),
		"--root", filepath.Join(w.root, "partners"), "--keys", filepath.Join(w.root, "keys"), "--key", p.key+".pub",
		"--group", w.group, "--user", w.daemon.Username, "--make")
	text, err := os.ReadFile(w.config)
	w.must(err)
	w.write(w.config, string(text)+fmt.Sprintf("settle = %q\nunterminated_wait = %q\n%s\n", settle, unterminated, keys))
	return p
}

// account adds a system account for the duration of the test.
func (w *world) account(name string, options ...string) {
	w.t.Helper()
	w.t.Cleanup(func() { w.try("userdel", name) })
	w.retried("useradd", append(options, name)...)
}

// retried repeats a command that needs a lock on the accounts, which other processes may hold briefly.
func (w *world) retried(name string, args ...string) {
	w.t.Helper()
	w.until("made: "+name, func() bool {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err == nil {
			return true
		}
		if !strings.Contains(string(out), "lock") {
			w.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return false
	})
}

// start starts the daemon and waits until it watches its inboxes.
func (w *world) start() {
	w.t.Helper()
	const capLease = 28
	cmd := exec.Command(w.bin, "run", "--config", w.config)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: uint32(w.uid()), Gid: uint32(w.gid())},
		AmbientCaps: []uintptr{capLease},
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the daemon's log ends:\n%s", w.tail())
		}
	})
	w.process = programs.Start(w.t, cmd, w.log)
	w.until("watching", func() bool {
		select {
		case <-w.process.Gone:
			w.t.Fatalf("the daemon has exited\n%s", w.tail())
		default:
		}
		return exec.Command(w.bin, "status", "--config", w.config).Run() == nil
	})
}

func (w *world) uid() int { return number(w.t, w.daemon.Uid) }
func (w *world) gid() int { return number(w.t, w.daemon.Gid) }

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path, content string) {
	w.t.Helper()
	w.must(os.WriteFile(path, []byte(content), 0o644))
}

// command runs a command that must succeed.
func (w *world) command(name string, args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// try runs a clean-up command and only logs an error.
func (w *world) try(name string, args ...string) {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		w.t.Logf("%s %q: %v %s", name, args, err, out)
	}
}

// tail returns the end of the daemon's log.
func (w *world) tail() string {
	text, err := os.ReadFile(w.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8000):])
}

// until waits for a fact about real processes by polling.
func (w *world) until(what string, fact func() bool) {
	w.t.Helper()
	until(w.t, what, fact)
}

func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	within(t, patience, what, fact)
}

func within(t *testing.T, limit time.Duration, what string, fact func() bool) {
	t.Helper()
	if !programs.Until(limit, fact) {
		t.Fatalf("after %s: not yet %s", limit, what)
	}
}
