package lwm2m

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// Record is a leaf of a tree: the value of a resource, or of one instance of a multiple resource. An instance, an object
// or a multiple resource that has nothing in it stands as a record without value at its own depth.
type Record struct {
	Path  Path
	Value Value
	Time  time.Time // of the measurement; zero if it was not told
}

// Tree is what a device tells or is told of itself: records in the order of Path.Compare. A time series has several
// records of one path, in the order of time. It is the one form that codecs, server and client share.
type Tree []Record

// Sort puts the records into order, keeping that of records with one path.
func (t Tree) Sort() {
	if !t.sorted() {
		slices.SortStableFunc(t, func(a, b Record) int { return a.Path.Compare(b.Path) })
	}
}

func (t Tree) sorted() bool {
	for i := 1; i < len(t); i++ {
		if t[i-1].Path.Compare(t[i].Path) > 0 {
			return false
		}
	}
	return true
}

// Size is about how many bytes of memory the tree takes, which is many times what the payload had that it came from.
func (t Tree) Size() int {
	const record = 72 // bytes
	size := len(t) * record
	for i := range t {
		size += len(t[i].Value.text)
	}
	return size
}

// Value returns the value at a path, the latest if there are several; ok is false if there is none.
func (t Tree) Value(p Path) (v Value, ok bool) {
	below := t.Below(p)
	for i := len(below) - 1; i >= 0; i-- {
		if below[i].Path == p && !below[i].Value.IsNone() {
			return below[i].Value, true
		}
	}
	return Value{}, false
}

// Below returns the records at a path and below it, as a part of the tree, which has to be in order.
func (t Tree) Below(p Path) Tree {
	start, _ := slices.BinarySearchFunc(t, p, func(r Record, p Path) int { return r.Path.Compare(p) })
	end := start
	for end < len(t) && p.Contains(t[end].Path) {
		end++
	}
	return t[start:end]
}

// Children iterates over what lies one level below a path: the child's path, and its records as a part of the tree,
// which has to be in order.
func (t Tree) Children(p Path) iter.Seq2[Path, Tree] {
	return func(yield func(Path, Tree) bool) {
		rest := t.Below(p)
		for len(rest) > 0 {
			if rest[0].Path.Depth() <= p.Depth() {
				rest = rest[1:]
				continue
			}
			child := rest[0].Path.Truncate(p.Depth() + 1)
			below := rest.Below(child)
			if !yield(child, below) {
				return
			}
			rest = rest[len(below):]
		}
	}
}

// String lists the records for people and tests: "/3/0/0 = "Acme", /3/0/9 = 80".
func (t Tree) String() string {
	var b strings.Builder
	for i, r := range t {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(r.Path.String() + " = " + r.Value.String())
		if !r.Time.IsZero() {
			b.WriteString(" at " + r.Time.UTC().Format(time.RFC3339Nano))
		}
	}
	return b.String()
}
