package watch

import (
	"maps"
	"strconv"
	"strings"
)

// maxLoggedNames bounds the files that are logged by name. Counts has the number of all.
const maxLoggedNames = 1000

// logChange logs an error once, until it changes or is gone. The name of the file that it
// concerned first is no change.
func (w *Watcher) logChange(said *string, what string, err error) {
	if err == nil {
		if *said != "" {
			*said = ""
			w.log.Info("recovered: "+what, "inbox", w.opt.Path)
		}
		return
	}
	if why := innermost(err); why != *said {
		*said = why
		w.log.Warn(what, "inbox", w.opt.Path, "err", why)
	}
}

// logName logs a file that is left alone, once for as long as it is there. The name comes from the
// partner and is quoted.
func (w *Watcher) logName(file, what string) {
	_, known := w.loggedNames[file]
	switch {
	case known:
	case len(w.loggedNames) < maxLoggedNames:
		w.log.Info(what, "inbox", w.opt.Path, "file", strconv.Quote(file))
	default:
		if !w.logged.many {
			w.logged.many = true
			w.log.Warn("too many files are left alone to log each by name", "inbox", w.opt.Path)
		}
		return
	}
	w.loggedNames[file] = w.scans
}

// forgetLoggedNames forgets the logged names that the finished scan didn't see.
func (w *Watcher) forgetLoggedNames() {
	maps.DeleteFunc(w.loggedNames, func(_ string, scan uint64) bool { return scan != w.scans })
	if len(w.loggedNames) < maxLoggedNames/2 {
		w.logged.many = false
	}
}

// logDrop logs each decision about a drop once.
func (w *Watcher) logDrop(d Drop, what step) {
	var why []string
	for _, p := range d.Problems {
		why = append(why, strconv.Quote(p.File)+" "+p.Message)
	}
	args := []any{"inbox", w.opt.Path, "name", strconv.Quote(d.Name), "why", strings.Join(why, "; ")}
	switch what {
	case stepReady:
		w.log.Debug("a drop is ready", args[:4]...)
	case stepIncomplete:
		w.log.Info("a drop is incomplete", args...)
	case stepRefused:
		w.log.Warn("a drop or control file can't be taken", args...)
	case stepWait, stepSettled, stepControl, stepBadName: // nothing to log
	}
}
