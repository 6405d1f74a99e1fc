package control

import (
	"io"
	"net/http"
	"time"
)

// inPieces gives the caller pieceTimeout to take each piece of an answer, however
// many there are and however long the work between them takes.
func inPieces(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &piecewiseWriter{ResponseWriter: w, control: http.NewResponseController(w)}
		next.ServeHTTP(out, r)
		// What is still in the buffer goes out after this. An error here is one
		// of a connection that is gone, and there is nobody to tell.
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

// Unwrap is for http.ResponseController.
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

// stream answers with what write writes. Before the first byte its error is
// answered like any other; after it, the connection is cut, so that the caller
// doesn't take a part for the whole.
func stream(w http.ResponseWriter, contentType string, write func(io.Writer) error) error {
	out := &streamWriter{w: w, contentType: contentType}
	err := write(out)
	if err != nil && out.begun {
		panic(http.ErrAbortHandler)
	}
	if err == nil && !out.begun {
		_, err = out.Write(nil)
	}
	return err
}

// streamWriter sets the content type when there is something to say.
type streamWriter struct {
	w           http.ResponseWriter
	contentType string
	begun       bool
}

// Write implements io.Writer.
func (s *streamWriter) Write(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", s.contentType)
	}
	return s.w.Write(p)
}
