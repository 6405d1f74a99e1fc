package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// SocketPath returns the path of the control socket in a state folder (docs/contract.md 11).
func SocketPath(stateDir string) string { return filepath.Join(stateDir, "campaignd.sock") }

// maxSocketPath is the longest path of a Unix socket on Linux (unix(7)), less the
// suffix that its name has at first.
const maxSocketPath = 107 - len(makingSuffix)

const makingSuffix = ".new"

// socket is a listening Unix socket and its file.
type socket struct {
	listener *net.UnixListener
	path     string
	info     os.FileInfo
}

// listenSocket creates the socket under a temporary name and renames it once its
// mode and group are set, so that nobody connects too early. It replaces a
// killed daemon's socket but not one that answers. The store's lock already
// excludes a second daemon; this protects the path.
func (s *Server) listenSocket() (*socket, error) {
	path := s.opts.Socket
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %q: the path has %d bytes, but a socket's path may have only %d: use a shorter state_dir", path, len(path), maxSocketPath)
	}
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	making := path + makingSuffix
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: making, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	listener.SetUnlinkOnClose(false) // it would remove the temporary name
	made, err := s.publish(making, path)
	if err != nil {
		os.Remove(making) // best effort: the next start removes it too
		return nil, errors.Join(err, listener.Close())
	}
	return &socket{listener: listener, path: path, info: made}, nil
}

// publish sets the socket's mode and group and gives it its final name.
func (s *Server) publish(making, path string) (os.FileInfo, error) {
	if err := setGroup(making, s.opts.Group); err != nil {
		return nil, err
	}
	if err := os.Chmod(making, 0o660); err != nil {
		return nil, fmt.Errorf("set mode of socket: %w", err)
	}
	if err := os.Rename(making, path); err != nil {
		return nil, fmt.Errorf("rename socket: %w", err)
	}
	made, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("stat socket: %w", err)
	}
	return made, nil
}

// remove deletes the socket's file unless another process has replaced it.
func (s *socket) remove() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
		os.Remove(s.path) // best effort: the next start replaces a socket that nobody answers
	}
}

// checkSocketPath returns an error if path is in use.
func checkSocketPath(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("listen on %q: %w", path, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %q: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %q: a file that isn't a socket (%s) has that name: move it away", path, info.Mode())
	}
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // left by a killed daemon
	}
	if err != nil {
		return fmt.Errorf("listen on %q: check whether a daemon answers there: %w", path, err)
	}
	holder := peerProcess(conn)
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close %q: %w", path, err)
	}
	return fmt.Errorf("listen on %q: a daemon already answers there%s: stop it, or use another state_dir", path, holder)
}

// setGroup gives a file to a group; "" keeps its group.
func setGroup(path, group string) error {
	if group == "" {
		return nil
	}
	gid, err := groupID(group)
	if err != nil {
		return fmt.Errorf("set socket_group: %w", err)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("give %q to group %q (is the daemon's user a member?): %w", path, group, err)
	}
	return nil
}

// groupID returns the number of a group given by name or number.
func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found.Gid)
}
