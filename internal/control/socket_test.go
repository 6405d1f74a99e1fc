package control_test

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"campaignd/internal/control"
)

func TestTheSocketsModeAndGroup(t *testing.T) {
	socket, _ := start(t, &fake{}, control.Options{})
	info, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != fs.ModeSocket|0o660 {
		t.Errorf("mode %v, want 0660", got)
	}

	group := "4242"
	if os.Getuid() != 0 {
		t.Skip("only root may give a socket to any group")
	}
	socket, _ = start(t, &fake{}, control.Options{Group: group})
	info, err = os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; got != 4242 {
		t.Errorf("group %d, want 4242", got)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, name := range []string{path, path + ".new"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false) // as if it had been killed
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	socket, _ := start(t, &fake{}, control.Options{Socket: path})
	if _, err := dial(t, socket).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRunRefusesASocketItCantHave(t *testing.T) {
	dir := t.TempDir()
	held, _ := start(t, &fake{}, control.Options{})
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		opts control.Options
		want string
	}{
		"held by a daemon": {control.Options{Socket: held}, "a daemon already answers there (process "},
		"another file":     {control.Options{Socket: file}, "a file that isn't a socket"},
		"no folder":        {control.Options{Socket: filepath.Join(dir, "none", "s")}, "no such file"},
		"path too long":    {control.Options{Socket: filepath.Join(dir, strings.Repeat("x", 100))}, "use a shorter state_dir"},
		"no such group":    {control.Options{Socket: filepath.Join(dir, "s"), Group: "no such group"}, "set socket_group"},
		"address":          {control.Options{Socket: filepath.Join(dir, "s"), Listen: "256.0.0.1:1"}, `listen on "256.0.0.1:1"`},
	} {
		err := control.New(&fake{}, test.opts).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want something with %q", name, err, test.want)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the other file holds %q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "s")); err == nil {
		t.Error("a start that failed left its socket")
	}
	if _, err := dial(t, held).Status(t.Context()); err != nil {
		t.Errorf("the daemon that held the socket: %v", err)
	}
}
