// Package crash drives the real binary through crashes, power cuts and failing
// disks, and holds it to its books afterwards: every row and message exactly one final
// outcome, files byte for byte, nothing half moved, nothing sent twice but what
// was in flight, and that under the same key. It holds tests alone.
//
// `go test ./test/crash` is a short run; CAMPAIGND_CRASH=full (`make test-crash`) is all of it.
// What needs root, a loop device, strace or another file system is skipped with a reason where it
// can't be had. docs/durability.md says what is held to.
package crash
