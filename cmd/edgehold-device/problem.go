package main

import (
	"errors"
	"strings"
)

// problem is an error for a person.
type problem struct {
	code, what, why, hint string
	shown                 bool // by whoever parsed the flags
}

func (p *problem) Error() string     { return p.what + ": " + p.why }
func (p *problem) ErrorCode() string { return p.code }
func (p *problem) ErrorWhy() string  { return p.why }
func (p *problem) ErrorHint() string { return p.hint }

// exit is 2 for what was typed wrongly, else 1.
func (p *problem) exit() int {
	if strings.HasPrefix(p.code, "usage.") {
		return 2
	}
	return 1
}

// explain makes a problem of any error.
func explain(code, what string, err error, hint string) error {
	var p *problem
	if err == nil || errors.As(err, &p) {
		return err
	}
	return &problem{code: code, what: what, why: err.Error(), hint: hint}
}
