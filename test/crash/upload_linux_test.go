package crash

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUploadToAFullDisk uploads while the inbox's or the store's disk is full or becomes full. The answer
// is 507, and nothing is left. Once there is room, the same request is taken.
func TestUploadToAFullDisk(t *testing.T) {
	for name, full := range map[string]func(*testing.T) (w *world, disk string){
		"inbox": func(t *testing.T) (*world, string) {
			disk := newTmpfs(t, "80m")
			w := newWorld(t, settings{})
			w.must(unix.Mount(disk, w.inbox, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(w.inbox, unix.MNT_DETACH) })
			return w, disk
		},
		"store": func(t *testing.T) (*world, string) {
			disk := newTmpfs(t, "80m")
			w := newWorld(t, settings{})
			w.must(unix.Mount(disk, w.state, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(w.state, unix.MNT_DETACH) })
			return w, disk
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, disk := full(t)
			w.listen()
			p := w.start().ready()
			if name == "inbox" { // its rows take little room in the store
				w.refusesUpload("20 MiB that don't fit", 20<<20, nil)
			}
			var empty func()
			w.refusesUpload("a disk that fills up meanwhile", 8<<20, func() { empty = w.fill(disk) })
			d := w.prepareUpload("a")
			if status, text, err := w.upload(d, "key"); err != nil || status != http.StatusInsufficientStorage {
				t.Errorf("with a full disk: %d %s %v", status, text, err)
			}
			w.tidyUploads()
			empty()
			w.uploaded(d, "key")
			if e := w.balance(d); e.counts["sent"] != d.rows {
				t.Error(e.describe())
			}
			w.tidy()
			w.doctor()
			p.stop()
		})
	}
}

// refusesUpload uploads a CSV of a size that isn't announced. When its first MiB has arrived, meanwhile is called.
func (w *world) refusesUpload(what string, size int, meanwhile func()) {
	w.t.Helper()
	d := w.prepareUpload("big")
	d.files["big.csv"] += strings.Repeat("34600000000,Ada\n", size/16)
	kind, body := w.uploadBody(d)
	rest, more := io.Pipe()
	go func() {
		const first = 1 << 20
		_, err := more.Write(body[:first])
		if meanwhile != nil {
			w.until(10*time.Second, "arriving", func() bool {
				found, _ := filepath.Glob(filepath.Join(w.inbox, "accepted", ".campaignd-upload-*", "upload.csv")) // the pattern is right
				return len(found) > 0
			})
			meanwhile()
		}
		if err == nil {
			_, err = io.Copy(more, bytes.NewReader(body[first:]))
		}
		if !errors.Is(err, io.ErrClosedPipe) { // the answer came before the end
			_ = more.CloseWithError(err)
		}
	}()
	status, text, err := w.post(kind, "", rest)
	if err != nil || status != http.StatusInsufficientStorage || !strings.Contains(text, `"noSpace"`) {
		w.t.Errorf("%s: %d %s %v, want %d", what, status, text, err, http.StatusInsufficientStorage)
	}
	_ = rest.Close()
	w.tidyUploads()
}

// tidyUploads waits until nothing is left of uploads.
func (w *world) tidyUploads() {
	w.t.Helper()
	w.until(5*time.Second, "tidy", func() bool {
		entries, err := os.ReadDir(filepath.Join(w.inbox, "accepted"))
		return err == nil && len(entries) == 1 && entries[0].Name() == inboxID
	})
}
