package send

import "errors"

// ErrState is returned when a sending's state doesn't allow a command; the state is returned with
// it.
var ErrState = errors.New("not possible in this state")
