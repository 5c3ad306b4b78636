package plugins

import (
	"bytes"
	"strconv"
	"strings"
)

// locate finds the line of a path such as metrics[2].reduce in block-style YAML, 1 for the first; when the end of
// the path is not there, the line of what holds it, and 0 when nothing is. It serves messages only, so a flow style
// that it does not understand costs precision and nothing else.
func locate(text []byte, path string) int {
	if path == "" {
		return 0
	}
	all := blockLines(text)
	found := 0
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		inside, line := all.enter(step)
		if line == 0 {
			break
		}
		all, found = inside, line
	}
	return found
}

// block is lines with their indentation; a dash counts as indentation of what follows it.
type block []blockLine

type blockLine struct {
	number int
	dashAt int // column of the dash; -1 when there is none
	keyAt  int // column of the content
	key    string
}

func blockLines(text []byte) block {
	var all block
	for i, raw := range bytes.Split(text, []byte("\n")) {
		content := strings.TrimLeft(string(raw), " ")
		if content == "" || content[0] == '#' || strings.HasPrefix(content, "---") {
			continue
		}
		l := blockLine{number: i + 1, dashAt: -1, keyAt: len(raw) - len(content)}
		if rest, ok := strings.CutPrefix(content, "- "); ok {
			l.dashAt = l.keyAt
			content = strings.TrimLeft(rest, " ")
			l.keyAt = len(raw) - len(content)
		}
		key, _, _ := strings.Cut(content, ":")
		l.key = strings.Trim(key, `"' `)
		all = append(all, l)
	}
	return all
}

// enter finds a key or an index, and returns what is inside.
func (b block) enter(step string) (block, int) {
	if len(b) == 0 {
		return nil, 0
	}
	if index, err := strconv.Atoi(step); err == nil {
		return b.item(index)
	}
	column := b[0].keyAt
	for i, l := range b {
		if l.keyAt == column && l.key == step {
			return b[i+1:].until(func(n blockLine) bool { return n.dashAt < 0 && n.keyAt <= column || n.dashAt >= 0 && n.dashAt < column }), l.number
		}
	}
	return nil, 0
}

// item returns the lines of the list's entry.
func (b block) item(index int) (block, int) {
	column := b[0].dashAt
	if column < 0 {
		return nil, 0
	}
	for i, l := range b {
		if l.dashAt != column {
			continue
		}
		if index == 0 {
			rest := b[i+1:].until(func(n blockLine) bool { return n.dashAt == column || n.keyAt <= column })
			l.dashAt = -1
			return append(block{l}, rest...), l.number
		}
		index--
	}
	return nil, 0
}

func (b block) until(end func(blockLine) bool) block {
	for i, l := range b {
		if end(l) {
			return b[:i]
		}
	}
	return b
}
