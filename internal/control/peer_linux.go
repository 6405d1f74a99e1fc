package control

import (
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// peer returns the credentials of the process at the other end (unix(7), SO_PEERCRED).
func peer(conn net.Conn) (*unix.Ucred, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("%T isn't a Unix socket", conn)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, credErr
}

// peerName returns the name of the user at the other end, its number if it has no
// name, or "unknown" if the kernel has no credentials.
func peerName(conn net.Conn) string {
	uid := peerUser(conn)
	if uid == "" {
		return "unknown"
	}
	if found, err := user.LookupId(uid); err == nil {
		return found.Username
	}
	return uid
}

// peerUser returns the number of the user at the other end, "" if the kernel has no credentials.
func peerUser(conn net.Conn) string {
	cred, err := peer(conn)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(uint64(cred.Uid), 10)
}

// peerProcess describes the process at the other end, for an error text.
func peerProcess(conn net.Conn) string {
	cred, err := peer(conn)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d of user %s)", cred.Pid, peerName(conn))
}
