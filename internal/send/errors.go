package send

import "errors"

// ErrState is returned when a sending's state doesn't allow what was asked; the
// state comes with it.
var ErrState = errors.New("not possible in this state")
