package control

import (
	"io"
	"net/http"
	"time"
)

// stream answers with what write writes. Before the first byte its error is
// answered like any other; after it, the connection is cut, so that the caller
// doesn't take a part for the whole.
func stream(w http.ResponseWriter, contentType string, write func(io.Writer) error) error {
	out := &streamWriter{w: w, contentType: contentType, control: http.NewResponseController(w)}
	err := write(out)
	if err != nil && out.begun {
		panic(http.ErrAbortHandler)
	}
	if err == nil && !out.begun {
		_, err = out.Write(nil)
	}
	return err
}

type streamWriter struct {
	w           http.ResponseWriter
	contentType string
	control     *http.ResponseController
	begun       bool
}

// Write gives the caller pieceTimeout to take each piece, however many there are.
func (s *streamWriter) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(pieceTimeout)); err != nil {
		return 0, err
	}
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", s.contentType)
	}
	return s.w.Write(p)
}

// piecewise gives the caller pieceTimeout for each piece of a body, and the
// answer as long after the last.
type piecewise struct {
	r       io.Reader
	control *http.ResponseController
}

func (p *piecewise) Read(b []byte) (int, error) {
	deadline := time.Now().Add(pieceTimeout)
	if err := p.control.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if err := p.control.SetWriteDeadline(time.Now().Add(pieceTimeout)); err != nil {
		return n, err
	}
	return n, err
}
