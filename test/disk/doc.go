// Package disk gives tests a file system of their own that can lose its power. It needs Linux and
// root; a test that can't have it is skipped with the reason.
package disk
