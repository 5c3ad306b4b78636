package main

import (
	"context"
	"fmt"
	"time"
)

// Row is one figure.
type Row struct {
	Name    string
	Against string // what theirs is; empty for an absolute figure
	Goal    Goal
	Measure func(context.Context) (Measured, error)
}

// Measured is what a row found: two figures in the same unit, or ours alone.
type Measured struct {
	Ours, Theirs float64
	Unit         string // "ns", "ms", "MB" or empty
}

func nanoseconds(ours, theirs time.Duration) Measured {
	return Measured{float64(ours), float64(theirs), "ns"}
}

func (m Measured) ours() string { return amount(m.Ours, m.Unit) }

func (m Measured) theirs() string {
	if m.Theirs == 0 {
		return ""
	}
	return amount(m.Theirs, m.Unit)
}

func (m Measured) ratio(g Goal) string {
	switch g.kind {
	case times:
		return fmt.Sprintf("%.2f", m.Ours/m.Theirs)
	case faster:
		return fmt.Sprintf("%.0f", m.Theirs/m.Ours)
	}
	return ""
}

func amount(v float64, unit string) string {
	if unit == "ns" {
		d := time.Duration(v)
		switch {
		case d >= time.Millisecond:
			d = d.Round(10 * time.Microsecond)
		case d >= time.Microsecond:
			d = d.Round(10 * time.Nanosecond)
		}
		return d.String()
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

// Goal is what a row aims for.
type Goal struct {
	kind  goalKind
	limit float64
	unit  string
}

type goalKind int

const (
	times goalKind = iota
	faster
	atMost
	atLeast
)

// Times asks for ours to be at most n times theirs.
func Times(n float64) Goal { return Goal{kind: times, limit: n} }

// Faster asks for theirs to be at least n times ours.
func Faster(n float64) Goal { return Goal{kind: faster, limit: n} }

// AtMost and AtLeast bound ours alone.
func AtMost(v float64, unit string) Goal { return Goal{atMost, v, unit} }

// AtLeast is described at AtMost.
func AtLeast(v float64, unit string) Goal { return Goal{atLeast, v, unit} }

func (g Goal) met(m Measured) bool {
	switch g.kind {
	case times:
		return m.Ours <= g.limit*m.Theirs
	case faster:
		return m.Theirs >= g.limit*m.Ours
	case atMost:
		return m.Ours <= g.limit
	}
	return m.Ours >= g.limit
}

// String returns the goal as the table shows it.
func (g Goal) String() string {
	switch g.kind {
	case times:
		return fmt.Sprintf("<= %g x", g.limit)
	case faster:
		return fmt.Sprintf(">= %g x faster", g.limit)
	case atMost:
		if g.unit == "ns" {
			return fmt.Sprintf("<= %v", time.Duration(g.limit))
		}
		return fmt.Sprintf("<= %g %s", g.limit, g.unit)
	}
	return fmt.Sprintf(">= %g %s", g.limit, g.unit)
}
