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

// maxSocketPath is the longest path a Unix socket can have on Linux (unix(7)),
// less what the name is lengthened by while it is made.
const maxSocketPath = 107 - len(makingSuffix)

const makingSuffix = ".new"

// socket is a Unix socket and the file it was made as.
type socket struct {
	listener *net.UnixListener
	path     string
	made     os.FileInfo
}

// listenSocket makes the socket under another name and renames it when its mode
// and group are right, so that nobody connects before. What a killed daemon
// left at the path is replaced; one that answers is not. The store's
// lock is what keeps two daemons apart; this keeps the path right.
func (s *Server) listenSocket() (*socket, error) {
	path := s.opts.Socket
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %q: the path has %d bytes and a socket's may have %d: give a shorter state_dir", path, len(path), maxSocketPath)
	}
	if err := free(path); err != nil {
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
	listener.SetUnlinkOnClose(false) // it would remove a name that is no longer its own
	made, err := s.place(making, path)
	if err != nil {
		os.Remove(making) // best effort: the next start removes it too
		return nil, errors.Join(err, listener.Close())
	}
	return &socket{listener: listener, path: path, made: made}, nil
}

// place gives the socket its mode, its group and its name.
func (s *Server) place(making, path string) (os.FileInfo, error) {
	if s.opts.Group != "" {
		gid, err := groupID(s.opts.Group)
		if err != nil {
			return nil, fmt.Errorf("set socket_group: %w", err)
		}
		if err := os.Chown(making, -1, gid); err != nil {
			return nil, fmt.Errorf("give the socket to group %q (is the daemon's user a member?): %w", s.opts.Group, err)
		}
	}
	if err := os.Chmod(making, s.opts.Mode); err != nil {
		return nil, fmt.Errorf("set mode of socket: %w", err)
	}
	if err := os.Rename(making, path); err != nil {
		return nil, fmt.Errorf("place socket: %w", err)
	}
	made, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("look at socket: %w", err)
	}
	return made, nil
}

// remove removes the socket's file if it is still the one that was made.
func (s *socket) remove() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
		os.Remove(s.path) // best effort: a file nobody answers at is replaced by the next start
	}
}

// free finds out whether a socket may be made at path.
func free(path string) error {
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
		return fmt.Errorf("listen on %q: something else has that name (%s): move it away", path, info.Mode())
	}
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // nobody answers: a killed daemon left it
	}
	if err != nil {
		return fmt.Errorf("listen on %q: find out whether a daemon answers there: %w", path, err)
	}
	holder := peerProcess(conn)
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close %q: %w", path, err)
	}
	return fmt.Errorf("listen on %q: a daemon answers there already%s: stop it, or give this one another state_dir", path, holder)
}

// groupID is the number of a group given by name or number.
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
