package smtp

import (
	"fmt"

	"github.com/wneessen/go-mail/log"

	"campaignd/internal/send"
)

// wireLogger passes the commands and replies of a connection to a tracer. go-mail leaves out
// the login.
type wireLogger struct{ tracer send.WireTracer }

// Debugf implements log.Logger.
func (d wireLogger) Debugf(l log.Log) {
	d.tracer(l.Direction == log.DirServerToClient, fmt.Appendf(nil, l.Format+"\n", l.Messages...))
}

// Infof implements log.Logger.
func (d wireLogger) Infof(log.Log) {}

// Warnf implements log.Logger.
func (d wireLogger) Warnf(log.Log) {}

// Errorf implements log.Logger.
func (d wireLogger) Errorf(log.Log) {}
