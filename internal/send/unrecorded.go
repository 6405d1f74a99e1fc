//go:build unrecorded

package send

// recording is off in this build: attempts and results are not written, so a sending
// never ends and starts again and again. Only make bench uses it, and stops it when the
// receiver has got enough.
const recording = false
