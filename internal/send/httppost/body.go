package httppost

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
)

// readBody reads a response's body. It returns false if it is cut off or longer than
// bodyLimit; then none of it is used.
func readBody(resp *http.Response) ([]byte, bool) {
	if resp.ContentLength == 0 {
		return nil, true
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if err != nil || len(b) > bodyLimit {
		return nil, false
	}
	return b, true
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// decode returns a body without its compression and byte order mark, or nil if it can't be
// decompressed. No compression is requested, but some proxies compress anyway.
func decode(header http.Header, body []byte) []byte {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))) {
	case "", "identity":
		return bytes.TrimPrefix(body, byteOrderMark)
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	plain, err := io.ReadAll(io.LimitReader(r, bodyLimit+1))
	if err != nil || len(plain) > bodyLimit {
		return nil
	}
	return bytes.TrimPrefix(plain, byteOrderMark)
}
