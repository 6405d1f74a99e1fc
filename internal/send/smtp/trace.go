package smtp

import (
	"fmt"

	"github.com/wneessen/go-mail/log"

	"campaignd/internal/send"
)

// dialogue shows a Tap the commands and replies of a connection. What logs in is left out by
// go-mail itself.
type dialogue struct{ tap send.WireTracer }

// Debugf implements log.Logger.
func (d dialogue) Debugf(l log.Log) {
	d.tap(l.Direction == log.DirServerToClient, fmt.Appendf(nil, l.Format+"\n", l.Messages...))
}

// Infof implements log.Logger.
func (d dialogue) Infof(log.Log) {}

// Warnf implements log.Logger.
func (d dialogue) Warnf(log.Log) {}

// Errorf implements log.Logger.
func (d dialogue) Errorf(log.Log) {}
