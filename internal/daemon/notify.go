package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reloading is the notification that a reload begins; systemd wants the
// monotonic time with it (Type=notify-reload).
func reloading() string {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", ts.Nano()/1000)
}
