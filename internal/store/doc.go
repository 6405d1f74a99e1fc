// Package store keeps everything that campaignd knows in one bbolt file.
package store
