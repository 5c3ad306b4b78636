// Package examples holds numbered policies to read, run and copy; each folder is a program of its own.
// It is not part of the SDK: nothing imports it.
package examples
