package api

import (
	"errors"
	"fmt"
	"net/http"

	"campaignd/internal/campaign"
)

// Code classifies an error.
type Code string

// The codes of the API, each with its HTTP status.
const (
	CodeInvalid      Code = "invalid"      // 400: the request is malformed or makes no sense
	CodeUnauthorized Code = "unauthorized" // 401: the token is missing or wrong
	CodeForbidden    Code = "forbidden"    // 403: the request comes from another web site
	CodeNotFound     Code = "notFound"     // 404: nothing has that id, name or path
	CodeMethod       Code = "method"       // 405: the path supports other methods
	CodeConflict     Code = "conflict"     // 409: the state doesn't allow it, or the id is ambiguous
	CodeTooLarge     Code = "tooLarge"     // 413: the body is too large
	CodeHost         Code = "host"         // 421: the Host header doesn't name this server
	CodeRejected     Code = "rejected"     // 422: the drop was rejected or canceled
	CodeKeyReused    Code = "keyReused"    // 422: the Idempotency-Key was used for another upload
	CodeFull         Code = "full"         // 429: the inbox has no room for another drop
	CodeInternal     Code = "internal"     // 500: the daemon failed
	CodeUnavailable  Code = "unavailable"  // 503: not ready, or stopping
	CodeNoSpace      Code = "noSpace"      // 507: a disk has too little room
)

// Error is an error answer. Message is written for people and contains no
// contact data.
type Error struct {
	Code     Code               `json:"code"`
	Message  string             `json:"message"`
	Problems []campaign.Problem `json:"problems,omitempty"` // errors in a refused configuration or drop
	Sending  campaign.ID        `json:"sending,omitempty"`  // the refused drop's sending
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// NotFoundf returns a CodeNotFound error.
func NotFoundf(format string, args ...any) error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

// Conflictf returns a CodeConflict error.
func Conflictf(format string, args ...any) error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(format, args...)}
}

// Invalidf returns a CodeInvalid error.
func Invalidf(format string, args ...any) error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// Unavailablef returns a CodeUnavailable error.
func Unavailablef(format string, args ...any) error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of an error, CodeInternal if it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Status returns the HTTP status of a code.
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
	case CodeRejected, CodeKeyReused:
		return http.StatusUnprocessableEntity
	case CodeFull:
		return http.StatusTooManyRequests
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	case CodeNoSpace:
		return http.StatusInsufficientStorage
	default:
		return http.StatusInternalServerError
	}
}
