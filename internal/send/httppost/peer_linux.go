package httppost

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// resetWait limits the wait for the reset of a connection that the receiver has closed.
const resetWait = time.Second

// The states of a connection in struct tcp_info (include/net/tcp_states.h).
const (
	tcpClose     = 7
	tcpCloseWait = 8
)

// endedConn reports whether both directions of a connection have ended, and the number of bytes
// that the receiver's host had acknowledged by then. The handshake may count as one. After
// the receiver's FIN it waits for the reset that answers bytes sent to a closed socket.
func endedConn(conn net.Conn) (acknowledged int64, ended bool) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := c.SyscallConn()
	if err != nil || conn.SetReadDeadline(time.Now().Add(resetWait)) != nil {
		return 0, false
	}
	err = raw.Read(func(fd uintptr) bool {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return true
		}
		acknowledged, ended = int64(info.Bytes_acked), info.State == tcpClose
		// Unacknowledged bytes after a FIN will be acknowledged or answered by a reset.
		return info.State != tcpCloseWait || info.Unacked == 0
	})
	return acknowledged, ended && err == nil
}
