package guest

import (
	"bytes"

	"github.com/edgehold/edgehold/wasmabi"
)

// Line is one line a guest logged.
type Line struct {
	Level wasmabi.Level
	Text  string
}

// logbook keeps what a guest logs during one call, up to a budget.
type logbook struct {
	text    []byte
	entries []entry
	left    int
	dropped uint64 // bytes
}

type entry struct {
	level wasmabi.Level
	end   int  // in text
	open  bool // the line may continue: it came through a file descriptor
}

func (l *logbook) start(budget uint32) {
	l.text, l.entries = l.text[:0], l.entries[:0]
	l.left, l.dropped = int(budget), 0
}

func (l *logbook) add(level wasmabi.Level, text []byte) {
	l.append(level, text, false)
}

// write takes a piece of a stream, in which lines end where the guest says.
func (l *logbook) write(level wasmabi.Level, text []byte) {
	l.append(level, text, true)
}

func (l *logbook) append(level wasmabi.Level, text []byte, open bool) {
	n := min(len(text), l.left)
	l.dropped += uint64(len(text) - n)
	l.left -= n
	if n == 0 {
		return
	}
	l.text = append(l.text, text[:n]...)
	if last := len(l.entries) - 1; open && last >= 0 && l.entries[last].open && l.entries[last].level == level {
		l.entries[last].end = len(l.text)
		return
	}
	l.entries = append(l.entries, entry{level, len(l.text), open})
}

// lines returns what was logged, split at line ends.
func (l *logbook) lines() []Line {
	var lines []Line
	start := 0
	for _, e := range l.entries {
		for text := range bytes.Lines(l.text[start:e.end]) {
			if text = bytes.TrimRight(text, "\r\n"); len(text) > 0 {
				lines = append(lines, Line{e.level, string(bytes.ToValidUTF8(text, []byte("?")))})
			}
		}
		start = e.end
	}
	return lines
}
