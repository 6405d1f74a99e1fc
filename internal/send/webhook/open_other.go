//go:build !unix

package webhook

import "net"

// quiet can't be told here: a connection counts as open.
func quiet(net.Conn) bool { return true }
