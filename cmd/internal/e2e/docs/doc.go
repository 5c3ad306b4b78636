// Package docs runs every shell line of every Markdown document in this repository, so that none of them is wrong.
// It has no code of its own that ships: everything is in its tests.
//
// A fenced block marked "sh" is run, line by line, in one bash for each document. A block marked "console" shows a
// session with its output and is not run. What a document needs around its lines, and the few lines that can't be run
// here, stand as data in documents_test.go.
package docs
