package shell

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Value is what a knob is at.
type Value struct{ Knob, Value string }

// Option is what a knob takes.
type Option struct {
	Knob    string
	Values  string // "LOW,MEDIUM,HIGH", or "1..3600"
	Default string
	Unit    string
	Lease   time.Duration // the longest that it takes; 0: none
}

// Held is a knob under a lease.
type Held struct {
	Knob, Value string
	Left        time.Duration // of the lease; 0: until it is given back
	Holder      string        // "" if it may go to any
}

// Bounds of an answer.
const (
	maxRows = 64
	maxWord = 64       // bytes of a cell
	maxText = 16 << 10 // bytes of a cell that lists choices
)

// title is how the head of a table begins.
const title = "Knob ID"

// rows reads lines of cells that are parted by bars. The head stands apart, and is nil where there is none. A refusal has no rows.
func rows(s string) (head []string, list [][]string) {
	if refused(s) {
		return nil, nil
	}
	for line := range strings.Lines(s) {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) < 2:
		case cells[0] == title:
			head = cells
		case len(list) < maxRows && cells[0] != "" && !slices.ContainsFunc(cells, hidden):
			list = append(list, cells)
		}
	}
	return head, list
}

// hidden says whether a cell is longer than any can be, or can't be shown as it is: terminals obey what they read.
func hidden(cell string) bool { return len(cell) > maxText || !Printable(cell) }

// Printable says whether a text of a stranger can be shown as it is.
func Printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Word makes a name one that can stand in a command.
func Word(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '|' || r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '-'
		}
		return r
	}, name)
	for len(name) > maxWord {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// short says whether all of some cells are words, and not empty.
func short(cells ...string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return c == "" || len(c) > maxWord })
}

func values(s string) (list []Value) {
	_, all := rows(s)
	for _, row := range all {
		if short(row[0], row[1]) {
			list = append(list, Value{row[0], row[1]})
		}
	}
	return list
}

func options(s string) (list []Option) {
	_, all := rows(s)
	for _, row := range all {
		row = append(row, "", "", "")
		if !short(row[0]) || row[1] == "" || len(row[2]) > maxWord || len(row[3]) > maxWord {
			continue
		}
		o := Option{Knob: row[0], Values: row[1], Default: row[2], Unit: row[3]}
		if d, err := time.ParseDuration(row[4]); err == nil && d > 0 {
			o.Lease = d
		}
		list = append(list, o)
	}
	return list
}

func held(s string) (list []Held) {
	_, all := rows(s)
	for _, row := range all {
		if row = append(row, "", ""); !short(row[0], row[1]) || len(row[3]) > maxWord {
			continue
		}
		h := Held{Knob: row[0], Value: row[1], Holder: row[3]}
		if d, err := time.ParseDuration(row[2]); err == nil && d > 0 {
			h.Left = d
		}
		list = append(list, h)
	}
	return list
}

// about finds a knob in an answer to get.
func about(s, knob string) (Value, bool) {
	for _, v := range values(s) {
		if strings.EqualFold(v.Knob, knob) {
			return v, true
		}
	}
	return Value{}, false
}

// What can be the answer to which command. Heads tell, where there are some; what a gateway does not tell with its command may be another's.

func isList(s string) bool {
	head, all := rows(s)
	if head != nil {
		return len(head) == 2
	}
	return len(all) > 0 && len(all[0]) == 2
}

func isOptions(s string) bool {
	head, all := rows(s)
	if head != nil {
		return len(head) > 2 && head[1] != "Value"
	}
	return len(all) > 0 && len(all[0]) > 2
}

func isLeases(s string) bool {
	head, _ := rows(s)
	return len(head) > 3 && head[1] == "Value"
}

// isOf says whether it is the answer to get, or to another command about one knob.
func isOf(knob string) func(string) bool {
	return func(s string) bool {
		head, all := rows(s)
		_, ok := about(s, knob)
		return head == nil && ok && len(all) == 1
	}
}

// done says whether set was done: shells say so in their own words, or not at all.
func done(s string) bool { return !refused(s) }

// refused says whether a shell says that it did not do as it was told.
func refused(s string) bool {
	line, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "\n")
	if strings.HasPrefix(line, "error:") {
		return true
	}
	return !strings.Contains(line, "|") && slices.ContainsFunc([]string{"error", "unknown", "invalid", "refused", "not "}, func(word string) bool { return strings.Contains(line, word) })
}

// refusal is what a shell says instead of an answer.
func refusal(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if line == "" {
		return "nothing"
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "error:"))
}
