//go:build !unrecorded

package send

// recording is false in the build with which make bench measures the cost of recording.
const recording = true
