// Package crash drives the real binary through crashes, power cuts and failing
// disks. Afterwards it checks that every row and message has exactly one final
// outcome, that files are intact and complete, and that nothing was sent twice but
// messages in flight, under the same key. It also sends to receivers that misbehave. The
// package contains only tests.
//
// `go test ./test/crash` is a short run. CAMPAIGND_CRASH=full (`make test-crash`) runs everything.
// Tests that need root, a loop device, strace or another file system skip with a reason where
// these are missing. docs/durability.md lists the guarantees.
package crash
