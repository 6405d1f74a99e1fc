package watch

import (
	"strconv"
	"strings"
)

// maxNoted bounds how many files are logged by name; of the rest it is said once
// that there are more. Counts has the numbers.
const maxLoggedNames = 1000

// say logs an error once, until it is another one or gone. What file it met
// first doesn't make it another one.
func (w *Watcher) logChange(said *string, what string, err error) {
	if err == nil {
		if *said != "" {
			*said = ""
			w.log.Info("all right again: "+what, "inbox", w.opt.Path)
		}
		return
	}
	if why := innermost(err); why != *said {
		*said = why
		w.log.Warn(what, "inbox", w.opt.Path, "error", why)
	}
}

// note logs a file that is left alone, once for as long as it is there. Names
// are the partner's and may hold anything.
func (w *Watcher) logName(file, what string) {
	_, known := w.loggedNames[file]
	switch {
	case known:
	case len(w.loggedNames) < maxLoggedNames:
		w.log.Info(what, "inbox", w.opt.Path, "file", strconv.Quote(file))
	default:
		if !w.logged.many {
			w.logged.many = true
			w.log.Warn("more files than can be logged by name are left alone", "inbox", w.opt.Path)
		}
		return
	}
	w.loggedNames[file] = w.scans
}

// forgetNames forgets the noted files that the look that just ended didn't see.
func (w *Watcher) forgetLoggedNames() {
	for file, look := range w.loggedNames {
		if look != w.scans {
			delete(w.loggedNames, file)
		}
	}
	if len(w.loggedNames) < maxLoggedNames/2 {
		w.logged.many = false
	}
}

// logDrop logs what became of a drop, once for each thing it becomes.
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
		w.log.Warn("a drop or control file can't be taken as it is", args...)
	case stepWait, stepSettled, stepControl: // nothing to log
	}
}
