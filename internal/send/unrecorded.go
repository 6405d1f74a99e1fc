//go:build unrecorded

package send

// recording is off in this build: attempts and results are written nowhere, so a
// sending never ends and begins again and again. It is for make bench alone, which
// stops it when the receiver has had enough.
const recording = false
