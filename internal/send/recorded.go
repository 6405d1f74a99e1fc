//go:build !unrecorded

package send

// recording is false in the build that make bench measures the cost of the books with.
const recording = true
