package client

import (
	"fmt"
	"strings"
)

// maxArguments is the most text that an Execute may carry.
const maxArguments = 256

// Argument is one argument of an Execute: a digit, with or without a text.
type Argument struct {
	ID       uint8 // 0 to 9
	Value    string
	HasValue bool
}

// ParseArguments takes the payload of an Execute apart (LwM2M Core 6.3.5): arguments separated by commas, each a digit, that may be
// followed by = and a text in single quotes. No digit stands twice.
func ParseArguments(s string) ([]Argument, error) {
	var out []Argument
	var seen [10]bool
	for rest := s; rest != ""; {
		a, after, err := cutArgument(rest)
		if err != nil {
			return nil, fmt.Errorf("parse execute arguments: %w: %w", err, ErrBadRequest)
		}
		if seen[a.ID] {
			return nil, fmt.Errorf("parse execute arguments: argument %d twice: %w", a.ID, ErrBadRequest)
		}
		seen[a.ID] = true
		out = append(out, a)
		if after == "" {
			break
		}
		rest = after[1:]
		if after[0] != ',' || rest == "" {
			return nil, fmt.Errorf("parse execute arguments: %q follows argument %d: %w", after, a.ID, ErrBadRequest)
		}
	}
	return out, nil
}

func cutArgument(s string) (a Argument, after string, err error) {
	if s[0] < '0' || s[0] > '9' {
		return a, "", fmt.Errorf("%q does not begin with a digit", s)
	}
	a.ID = s[0] - '0'
	text, valued := strings.CutPrefix(s[1:], "='")
	if !valued {
		return a, s[1:], nil
	}
	value, after, closed := strings.Cut(text, "'")
	if !closed {
		return a, "", fmt.Errorf("argument %d has no closing quote", a.ID)
	}
	for i := range len(value) {
		if value[i] < 0x20 || value[i] == 0x7f {
			return a, "", fmt.Errorf("argument %d has a control character", a.ID)
		}
	}
	a.Value, a.HasValue = value, true
	return a, after, nil
}
