package idle

import (
	"errors"
	"net"
	"os"
)

// Read reads from a connection to a server. Beyond the deadline it still reads what has arrived: a
// process that was frozen finds the deadline past and the answer in the socket's buffer, and to call
// that message unanswered would be wrong.
func Read(conn net.Conn, p []byte) (int, error) {
	n, err := conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		if n = readArrived(conn, p); n > 0 {
			return n, nil
		}
	}
	return n, err
}
