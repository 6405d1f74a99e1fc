//go:build unix

package idle

import (
	"net"
	"syscall"
)

// readArrived reads what the socket has received, and returns 0 if that is nothing.
func readArrived(conn net.Conn, p []byte) (n int) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) { // Read would return at once: the deadline is past
		n, _, _ = syscall.Recvfrom(int(fd), p, syscall.MSG_DONTWAIT)
	})
	if err != nil {
		return 0
	}
	return max(n, 0)
}
