package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reloading returns the notification of a reload's begin. systemd requires the
// monotonic time in it (Type=notify-reload).
func reloading() string {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", ts.Nano()/1000)
}
