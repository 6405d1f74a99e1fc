package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// uploads measures a drop of 2 GiB that arrives over HTTP: the time until its answer, and the memory
// against that of a small one.
func uploads(ctx context.Context, b *bench) error {
	const small, large = 16 << 20, 2 << 30
	reference, err := b.writeSynced(large)
	if err != nil {
		return err
	}
	var peaks []int64
	for _, size := range []int{small, large} {
		took, peak, err := b.upload(ctx, size)
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
		if size == large {
			b.atMost("upload of 2 GiB, until the answer after its check", took.Round(time.Millisecond).String(),
				"write and sync of the same bytes "+reference.Round(time.Millisecond).String(), took.Seconds()/reference.Seconds(), 4)
		}
	}
	b.add(figure{"peak anonymous memory of an upload of 2 GiB", fmt.Sprintf("%d MiB", peaks[1]>>20), fmt.Sprintf("upload of 16 MiB %d MiB", peaks[0]>>20),
		0, "at most 32 MiB more", peaks[1]-peaks[0] <= 32<<20})
	return nil
}

// upload uploads a CSV of about size bytes to a daemon of its own.
func (b *bench) upload(ctx context.Context, size int) (took time.Duration, peak int64, err error) {
	s, err := b.newSetup(`driver = "null"`)
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(s.dir)
	address, err := s.listen()
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		return 0, 0, err
	}
	if err := os.WriteFile(s.config, []byte(strings.Replace(string(text), "max_rows", "max_file_size = \"4GiB\"\nmax_rows", 1)), 0o644); err != nil {
		return 0, 0, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	if _, err := d.await(ctx, "ready", 1); err != nil {
		return 0, 0, err
	}
	token, err := os.ReadFile(filepath.Join(s.dir, "var", "http_token"))
	if err != nil {
		return 0, 0, err
	}
	answered := make(chan error, 1)
	begin := time.Now()
	go func() { answered <- postUpload(ctx, address, strings.TrimSpace(string(token)), size) }()
	if _, err := d.await(ctx, "drop accepted", 1); err != nil {
		return 0, 0, errors.Join(err, <-answered)
	}
	if err := <-answered; err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	err = d.stop()
	return took, d.peak, err
}

// postUpload uploads a CSV that is made while it is sent.
func postUpload(ctx context.Context, address, token string, size int) error {
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() { _ = w.CloseWithError(errors.Join(writeForm(form, size), form.Close())) }() // the reader gets the error
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/applications/1/campaigns/1/send/csv", body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the upload is answered %s: %s", answer.Status, text)
	}
	return err
}

// writeForm writes the parts of an upload. A column that no message uses makes the rows 64 KiB long.
func writeForm(form *multipart.Writer, size int) error {
	part, err := form.CreateFormFile("layout", "l.json")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(part, layout); err != nil {
		return err
	}
	if part, err = form.CreateFormFile("file", "big.csv"); err != nil {
		return err
	}
	w := bufio.NewWriterSize(part, 1<<20)
	fmt.Fprintln(w, "contactCode,name,ticket_id,edad,note")
	note := strings.Repeat("x", 64<<10)
	for i := 0; i < size; i += len(note) {
		fmt.Fprintf(w, "%d,Ada,1,2,%s\n", 34_600_000_000+i/len(note), note)
	}
	return w.Flush()
}

// writeSynced is the reference: a file of that size, written and synced.
func (b *bench) writeSynced(size int) (time.Duration, error) {
	f, err := os.Create(filepath.Join(b.scratch, "synced"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	block := []byte(strings.Repeat(strconv.Itoa(size), 1<<20))[:1<<20]
	begin := time.Now()
	for i := 0; i < size && err == nil; i += len(block) {
		_, err = f.Write(block)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	return time.Since(begin), err
}
