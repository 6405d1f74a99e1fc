package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/failpoint"
	"campaignd/test/loopback"
)

// listen makes the daemon listen on a free port of loopback from its next start on.
func (w *world) listen() {
	w.t.Helper()
	w.web = loopback.FreeAddress(w.t)
	text, err := os.ReadFile(w.config)
	w.must(err)
	w.write(w.config, fmt.Sprintf("listen = %q\n", w.web)+string(text))
}

// prepareUpload prepares a drop as an upload makes it.
func (w *world) prepareUpload(name string) drop {
	d := w.prepare(name, viaHook, 50, 2, "")
	d.files[name+".schedule.json"] = fmt.Sprintf("{\n  \"applicationId\": 1,\n  \"campaignId\": %d\n}\n", viaHook)
	return d
}

// uploadBody returns the body of a drop's upload.
func (w *world) uploadBody(d drop) (contentType string, body []byte) {
	w.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for part, ending := range map[string]string{"layout": ".layout.json", "file": ".csv"} {
		f, err := form.CreateFormFile(part, d.name+ending)
		w.must(err)
		_, err = io.WriteString(f, d.files[d.name+ending])
		w.must(err)
	}
	w.must(form.Close())
	return form.FormDataContentType(), b.Bytes()
}

// upload uploads a drop under an Idempotency-Key and returns the answer's status and text.
func (w *world) upload(d drop, key string) (status int, text string, err error) {
	w.t.Helper()
	kind, body := w.uploadBody(d)
	return w.post(kind, key, bytes.NewReader(body))
}

// post sends the body of an upload. Without a size, it is sent in chunks.
func (w *world) post(kind, key string, body io.Reader) (status int, text string, err error) {
	w.t.Helper()
	token, err := os.ReadFile(filepath.Join(w.state, "http_token"))
	w.must(err)
	r, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://%s/v1/applications/1/campaigns/%d/send/csv", w.web, viaHook), body)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Content-Type", kind)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(got), err
}

// uploaded checks that a repeated upload is the one sending that its drop has become.
func (w *world) uploaded(d drop, key string) {
	w.t.Helper()
	status, text, err := w.upload(d, key)
	var answer struct{ ID string }
	if err != nil || status != http.StatusAccepted || json.Unmarshal([]byte(text), &answer) != nil {
		w.t.Fatalf("%s again: %d %s %v", d.name, status, text, err)
	}
	w.ended(20*time.Second, d)
	found, err := filepath.Glob(filepath.Join(w.inbox, "*", d.name+".2*"))
	if err != nil || len(found) != 1 || !strings.HasSuffix(found[0], answer.ID) {
		w.t.Errorf("%s: the answer says %s, the folders are %q (%v)", d.name, answer.ID, found, err)
	}
}

// killUploading kills the daemon at a failpoint during an upload, which is repeated after a restart
// with the same key.
func killUploading(t *testing.T, point string) {
	w := newWorld(t, settings{})
	w.listen()
	w.start().ready().kill()
	killedUploads(w, point)
}

// killedUploads kills the daemon at each point during an upload of its own. "receiving" is not a
// failpoint: half of the body has arrived.
func killedUploads(w *world, points ...string) {
	var drops []drop
	var inFlight uint64
	for i, point := range points {
		d := w.prepareUpload(fmt.Sprint("up", i))
		drops = append(drops, d)
		kind, body := w.uploadBody(d)
		if point == "receiving" {
			p := w.start().ready()
			rest, more := io.Pipe()
			ended := make(chan error, 1)
			go func() { _, _, err := w.post(kind, d.name, rest); ended <- err }()
			_, err := more.Write(body[:len(body)/2])
			w.must(err)
			w.until(10*time.Second, "arriving", func() bool {
				found, _ := filepath.Glob(filepath.Join(w.inbox, "accepted", ".campaignd-upload-*", "*")) // the pattern is right
				return len(found) > 0
			})
			p.kill()
			w.must(more.CloseWithError(errors.New("cut")))
			if <-ended == nil {
				w.t.Errorf("%s: an answer came", point)
			}
			inFlight += w.look()
			continue
		}
		p := w.start("CAMPAIGND_FAILPOINT=" + point).ready()
		if status, text, err := w.post(kind, d.name, bytes.NewReader(body)); err == nil {
			w.t.Errorf("%s: an answer came: %d %s", point, status, text)
		}
		p.killed(20 * time.Second)
		inFlight += w.look()
	}
	w.start().ready()
	twice := 0
	for _, d := range drops {
		w.uploaded(d, d.name)
		e := w.balance(d)
		if e.counts["sent"] != d.rows {
			w.t.Errorf("%s: %s", d.name, e.describe())
		}
		twice += w.deliveries(e, w.hook.delivered(w.t))
	}
	if uint64(twice) > inFlight {
		w.t.Errorf("%d delivered twice, %d were in flight at the kills", twice, inFlight)
	}
	w.until(5*time.Second, "tidy", func() bool { return !anyIn(filepath.Join(w.inbox, "accepted")) })
	w.tidy()
	w.doctor()
}

// TestUploadsKilled kills the daemon at steps of an upload, one after the other. After a restart
// nothing half has been taken in, and the same request with the same key sends nothing twice.
func TestUploadsKilled(t *testing.T) {
	w := newWorld(t, settings{})
	w.listen()
	w.start().ready().kill() // makes the token
	killedUploads(w, "receiving", "upload-received:1", "claim-recorded:1", "folder-made:1", "files-moved:1", "upload-decided:1", "upload-answered:1")
}

// TestEveryStepOfAnUpload kills the daemon at every step and transaction of an upload, in an
// installation each.
func TestEveryStepOfAnUpload(t *testing.T) {
	long(t) // TestUploadsKilled is the short form; TestFailpoints has those that only uploads pass
	points := []string{"receiving"}
	for _, name := range []failpoint.Name{failpoint.ClaimRecorded, failpoint.FolderMade, failpoint.FilesMoved, failpoint.RowsStored,
		failpoint.FilesSynced, failpoint.Checked, failpoint.SlotsBooked, failpoint.Accepted, failpoint.SyncDir} {
		points = append(points, string(name)+":1")
	}
	for n := 2; n <= 8; n++ { // the first is the start's
		points = append(points, fmt.Sprint(failpoint.StoreCommit, ":", n))
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) { t.Parallel(); killUploading(t, point) })
	}
}

// TestUploadIsStreamed uploads 4 MiB and then 64 MiB: the daemon's memory doesn't grow with the size.
// The bench does the same with 2 GiB.
func TestUploadIsStreamed(t *testing.T) {
	w := newWorld(t, settings{})
	w.listen()
	p := w.start().ready()
	upload := func(name string, rows int) (peak int64) {
		d := w.prepareUpload(name)
		line := ",," + strings.Repeat("x", 64<<10) + "\n"
		var csv strings.Builder
		csv.WriteString("contactCode,name,note\n")
		for i := range rows {
			fmt.Fprintf(&csv, "3460%07d%s", i, line)
		}
		d.files[name+".csv"] = csv.String()
		if status, text, err := w.upload(d, name); err != nil || status != http.StatusAccepted {
			t.Fatalf("%s: %d %s %v", name, status, text, err)
		}
		return p.peakMemory()
	}
	small := upload("small", 64)
	large := upload("large", 1024)
	t.Logf("peak memory: %d MiB after 4 MiB, %d MiB after 64 MiB", small>>20, large>>20)
	if large-small > 32<<20 {
		t.Errorf("the peak of memory is %d MiB after 4 MiB and %d MiB after 64 MiB, want at most 32 MiB more", small>>20, large>>20)
	}
}

// peakMemory returns the most memory that the process has had, in bytes.
func (p *process) peakMemory() int64 {
	p.w.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	p.w.must(err)
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	var kib int64
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	p.w.must(err)
	return kib << 10
}
