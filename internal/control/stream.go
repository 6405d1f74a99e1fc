package control

import (
	"io"
	"net/http"
	"time"
)

// inPieces gives the caller pieceTimeout to take each piece of an answer. Neither
// the number of pieces nor the work between them is limited.
func inPieces(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &piecewiseWriter{ResponseWriter: w, control: http.NewResponseController(w)}
		next.ServeHTTP(out, r)
		// The rest of the buffer is written after this. An error means that the
		// connection is gone, so nobody could read it.
		_ = out.extend()
	})
}

type piecewiseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *piecewiseWriter) extend() error {
	return p.control.SetWriteDeadline(time.Now().Add(pieceTimeout))
}

// Write implements io.Writer.
func (p *piecewiseWriter) Write(b []byte) (int, error) {
	if err := p.extend(); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap implements the convention of http.ResponseController.
func (p *piecewiseWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// piecewiseReader gives the caller pieceTimeout to send each piece of a body.
type piecewiseReader struct {
	r       io.Reader
	control *http.ResponseController
}

// Read implements io.Reader.
func (p *piecewiseReader) Read(b []byte) (int, error) {
	if err := p.control.SetReadDeadline(time.Now().Add(pieceTimeout)); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// stream lets write produce the answer. An error before the first byte becomes an
// error answer; a later one aborts the connection, so that the caller doesn't
// take a part for the whole.
func stream(w http.ResponseWriter, contentType string, write func(io.Writer) error) error {
	out := &streamWriter{w: w, contentType: contentType}
	err := write(out)
	if err != nil && out.started {
		panic(http.ErrAbortHandler)
	}
	if err == nil && !out.started {
		_, err = out.Write(nil)
	}
	return err
}

// streamWriter sets the content type at the first byte.
type streamWriter struct {
	w           http.ResponseWriter
	contentType string
	started     bool
}

// Write implements io.Writer.
func (s *streamWriter) Write(p []byte) (int, error) {
	if !s.started {
		s.started = true
		s.w.Header().Set("Content-Type", s.contentType)
	}
	return s.w.Write(p)
}
