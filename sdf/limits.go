package sdf

import "fmt"

// Limits bound what is read, and what references make of it. A zero field means its default.
type Limits struct {
	Bytes  int // of the text; default 1 MiB
	Depth  int // of nested maps and arrays; default 32
	Values int // maps, arrays, scalars and names together, after references too; default 100,000
}

// DefaultLimits are those of a zero Limits. The largest model in the public collections has 16 KiB and 700 values.
var DefaultLimits = Limits{Bytes: 1 << 20, Depth: 32, Values: 100_000}

func (l Limits) orDefault() Limits {
	for _, f := range []struct {
		limit    *int
		fallback int
	}{{&l.Bytes, DefaultLimits.Bytes}, {&l.Depth, DefaultLimits.Depth}, {&l.Values, DefaultLimits.Values}} {
		if *f.limit <= 0 {
			*f.limit = f.fallback
		}
	}
	return l
}

const hintSmaller = "send less, or split it"

func tooLarge(attempt, what string, limit int) error {
	return &Error{Attempt: attempt, Code: CodeTooLarge, Why: fmt.Sprintf("it has more than %d %s", limit, what), Hint: hintSmaller}
}

func (l Limits) checkBytes(attempt string, n int) error {
	if n > l.Bytes {
		return tooLarge(attempt, "bytes", l.Bytes)
	}
	return nil
}
