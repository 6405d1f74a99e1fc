//go:build !unrecorded

package send

// recording is false in the build that make bench measures the cost of recording with.
const recording = true
