package control

import (
	"errors"
	"fmt"
	"net/http"

	"campaignd/internal/campaign"
)

// Code says what kind of trouble a request met.
type Code string

// The codes of the API, each with its HTTP status.
const (
	CodeInvalid      Code = "invalid"      // 400: the request itself is wrong
	CodeUnauthorized Code = "unauthorized" // 401: the token is missing or wrong
	CodeForbidden    Code = "forbidden"    // 403: from another web site
	CodeNotFound     Code = "notFound"     // 404: nothing has that id, name or path
	CodeMethod       Code = "method"       // 405: the path knows other methods
	CodeConflict     Code = "conflict"     // 409: the state doesn't allow it, or more than one is meant
	CodeTooLarge     Code = "tooLarge"     // 413: the body is too long
	CodeHost         Code = "host"         // 421: the Host header is no name of this server
	CodeInternal     Code = "internal"     // 500: the daemon's own failure
	CodeUnavailable  Code = "unavailable"  // 503: not ready, or about to stop
)

// Error is an answer that is not the one hoped for. Message is fit for a person
// and holds no contact data.
type Error struct {
	Code     Code               `json:"code"`
	Message  string             `json:"message"`
	Problems []campaign.Problem `json:"problems,omitempty"` // of a refused configuration
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// NotFoundf says that nothing has that id or name.
func NotFoundf(format string, args ...any) error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

// Conflictf says that the state doesn't allow what was asked.
func Conflictf(format string, args ...any) error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(format, args...)}
}

// Invalidf says that what was asked is wrong in itself.
func Invalidf(format string, args ...any) error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// Unavailablef says that it can't be done now.
func Unavailablef(format string, args ...any) error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of an error, CodeInternal for one that has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Status is the HTTP status of a code.
func (c Code) Status() int {
	switch c {
	case CodeInvalid:
		return http.StatusBadRequest
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeForbidden:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeMethod:
		return http.StatusMethodNotAllowed
	case CodeConflict:
		return http.StatusConflict
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeHost:
		return http.StatusMisdirectedRequest
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
