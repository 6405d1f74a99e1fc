//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
)

// isolation tries what a hostile partner may try against the daemon, the machine and other partners.
func isolation(t *testing.T, w *world) {
	clients()[4].here(t, w.shop)
	for name, test := range map[string]func(*testing.T, *world){
		"server": lockedIn, "files": theDaemons, "others": others, "names": hostileNames, "links": links,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// asks makes requests from a partner's program and compares the answers.
func asks(t *testing.T, p *partner, expected string, requests ...string) string {
	t.Helper()
	out := do(t, p.paramiko(append([]string{"do"}, requests...)...))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(requests) {
		t.Fatalf("%d answers to %d requests:\n%s", len(lines), len(requests), out)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, expected+" "+requests[i]) {
			t.Errorf("want %s, got: %s", expected, line)
		}
	}
	return out
}

// An account sees only its inbox and can create neither links nor folders.
func lockedIn(t *testing.T, w *world) {
	if out := asks(t, w.shop, "ok", "listdir|/", "listdir|/../../..", "listdir|/inbox/../.."); strings.Count(out, "['inbox']") != 3 {
		t.Errorf("the account sees more than its own folder:\n%s", out)
	}
	asks(t, w.shop, "refused", "listdir|/etc", "open|/etc/passwd|r", "open|/new.csv|w", "mkdir|/elsewhere", "mkdir|/inbox/x.csv",
		"symlink|/etc/passwd|/inbox/link.csv", "rmdir|/inbox/done", "rename|/inbox|/other", "chmod|/inbox|#777", "remove|/inbox")
	if out, err := finish(t, run("ssh", append(w.shop.sshOptions(), "-p", w.port, w.shop.name+"@127.0.0.1", "id")...)); err == nil || strings.Contains(out, "uid=") {
		t.Errorf("the account has a shell: %v %s", err, out)
	}
}

// A partner can read but not write the files left for them: reports and their own original files.
func theDaemons(t *testing.T, w *world) {
	c := clients()[0]
	done, waiting := newDrop(t, w.shop, "mine-done", 3, ""), newDrop(t, w.shop, "mine-waiting", 3, `, "delay": "PT1H"`)
	done.put(c, ".csv", ".layout.json", ".schedule.json")
	waiting.put(c, ".csv", ".layout.json", ".schedule.json")
	done.completes(c)
	until(t, "accepted", func() bool {
		folder := waiting.here("accepted")
		_, err := os.Stat(filepath.Join(w.shop.inbox, folder, "status.json"))
		text, _ := os.ReadFile(filepath.Join(w.shop.inbox, folder, "status.json"))
		return folder != "" && err == nil && strings.Contains(string(text), `"scheduled"`)
	})
	for _, folder := range []string{"/inbox/" + done.here("done"), "/inbox/" + waiting.here("accepted")} {
		entries, err := os.ReadDir(filepath.Join(filepath.Dir(w.shop.inbox), folder))
		if err != nil || len(entries) < 4 {
			t.Fatal(entries, err)
		}
		var may, mayNot []string
		for _, e := range entries {
			path := folder + "/" + e.Name()
			may = append(may, "open|"+path+"|r", "stat|"+path)
			mayNot = append(mayNot, "open|"+path+"|r+", "open|"+path+"|w", "open|"+path+"|a", "remove|"+path, "chmod|"+path+"|#666",
				"truncate|"+path+"|#0", "rename|"+path+"|/inbox/taken")
		}
		asks(t, w.shop, "ok", may...)
		asks(t, w.shop, "refused", append(mayNot, "open|"+folder+"/new|w", "rename|"+folder+"|/inbox/taken", "rmdir|"+folder)...)
	}
	asks(t, w.shop, "refused", "rename|/inbox/accepted|/inbox/old", "open|/inbox/done/new|w", "rename|/inbox/done|/inbox/failed")
}

// One partner's control files, drops and applications have no effect on another.
func others(t *testing.T, w *world) {
	c := clients()[0]
	mine := newDrop(t, w.shop, "ours", 3, `, "delay": "PT1H"`)
	mine.put(c, ".csv", ".layout.json", ".schedule.json")
	until(t, "accepted", func() bool { return mine.here("accepted") != "" })
	empty := filepath.Join(t.TempDir(), "empty")
	w.write(empty, "")
	id := strings.TrimPrefix(filepath.Base(mine.here("accepted")), "ours.")
	for _, name := range []string{"ours.cancel", "ours." + id + ".cancel", "ours." + id + ".pause"} {
		do(t, c.put(w.other, empty, name))
		until(t, "refused: "+name, func() bool {
			found, _ := filepath.Glob(filepath.Join(w.other.inbox, "failed", name+"*report.txt"))
			return len(found) == 1
		})
	}
	// The same name, and the other partner's application.
	theirs := newDrop(t, w.other, "ours", 3, `, "applicationId": 1, "campaignId": 7`)
	theirs.put(c, ".csv", ".layout.json", ".schedule.json")
	if folder, r := theirs.ends(c); r.State != "rejected" {
		t.Errorf("%s: %+v; want it rejected", folder, r)
	}
	own := newDrop(t, w.other, "theirs", 3, "")
	own.put(c, ".csv", ".layout.json", ".schedule.json")
	own.completes(c)
	text, err := os.ReadFile(filepath.Join(w.shop.inbox, mine.here("accepted"), "status.json"))
	if err != nil || !strings.Contains(string(text), `"scheduled"`) {
		t.Errorf("the first partner's sending: %v\n%s", err, text)
	}
}

// Unusual names that a file system accepts. Names allowed by docs/contract.md 2 are sent, whatever a shell
// would make of them. Names that can't be used move to failed/, ignored ones stay, and no log line contains
// terminal control characters.
func hostileNames(t *testing.T, w *world) {
	c := clients()[4]
	var good []*drop
	for _, name := range []string{"-rf", "$(id)", "a;b|c", "%s%n", "..x..", strings.Repeat("n", 200), "\u202eabc", "spa ce"} {
		if name == "..x.." {
			name = "x.." // a leading dot hides a file
		}
		d := newDrop(t, w.other, "plain", 3, "")
		d.name = name
		for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
			do(t, c.put(w.other, filepath.Join(d.dir, "plain"+ending), name+ending))
		}
		good = append(good, d)
	}
	for _, d := range good {
		d.completes(c)
	}
	d := newDrop(t, w.other, "bad", 3, "")
	unusable := []string{"new\nline.csv", "esc\x1b[2Jape.csv", "inv\xff\xfealid.csv", strings.Repeat("w", 251) + ".csv", "tab\t.layout.json", "bell\a"}
	ignored := []string{"-rf", "..csv", "...cancel"}
	for _, name := range append(unusable, ignored...) {
		do(t, c.put(w.other, d.local(".csv"), name))
	}
	for _, name := range unusable {
		until(t, fmt.Sprintf("%q in failed/", name), func() bool {
			_, err := os.Lstat(filepath.Join(w.other.inbox, "failed", name))
			return err == nil
		})
	}
	for _, name := range ignored {
		if _, err := os.Lstat(filepath.Join(w.other.inbox, name)); err != nil {
			t.Errorf("%q isn't in the inbox any more: %v", name, err)
		}
	}
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range string(text) {
		if unicode.IsControl(r) && r != '\n' {
			t.Fatalf("the log contains %U", r)
		}
	}
}

// Links that a server without the snippet's restrictions would let a partner create, to /etc and to another
// partner's files. They are refused and never followed, and their targets stay unchanged.
func links(t *testing.T, w *world) {
	c := clients()[0]
	target := newDrop(t, w.shop, "target", 3, "")
	target.put(c, ".csv") // nothing else, so it stays there
	theirs := filepath.Join(w.shop.inbox, "target.csv")
	until(t, "there", func() bool { return target.size() == int64(len(target.csv)) })
	before, err := os.Lstat(theirs)
	if err != nil {
		t.Fatal(err)
	}
	var refused []*drop
	for name, make := range map[string]func(path string) error{
		"to-etc":  func(path string) error { return os.Symlink("/etc/passwd", path) },
		"to-them": func(path string) error { return os.Symlink(theirs, path) },
		"hard":    func(path string) error { return os.Link(w.config, path) }, // like another user's file that it may read
		"fifo":    func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"folder":  func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		d := newDrop(t, w.other, "link-"+name, 3, "")
		path := filepath.Join(w.other.inbox, d.name+".csv")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if name != "hard" {
			owner := before.Sys().(*syscall.Stat_t)
			if err := os.Lchown(path, int(owner.Uid)+1, int(owner.Gid)+1); err != nil {
				t.Fatal(err)
			}
		}
		d.put(c, ".layout.json", ".schedule.json")
		refused = append(refused, d)
	}
	for _, d := range refused {
		folder, r := d.ends(c)
		if r.State != "rejected" || r.Recipients.Total != 0 {
			t.Errorf("%s: %+v; want it rejected with no recipients", folder, r)
		}
		for _, file := range []string{"report.txt", "report.json"} {
			if text := string(d.fetch(c, folder+"/"+file)); strings.Contains(text, "root:") || strings.Contains(text, "3460") {
				t.Errorf("%s repeats the link's target:\n%s", file, text)
			}
		}
	}
	if after, err := os.Lstat(theirs); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
		t.Errorf("the other partner's file was replaced, changed or removed: before %+v, after %+v, %v", before, after, err)
	}
	if text, err := os.ReadFile(w.config); err != nil || !strings.Contains(string(text), "state_dir") {
		t.Errorf("the configuration, which a link pointed to, holds %q (%v); want it as it was", text, err)
	}
}
