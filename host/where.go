package host

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/lines"
	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
)

// maxKnown bounds the places that a module's sources remember: each is a line that a call ended on.
const maxKnown = 1024

// maxFrames bounds what is told of a guest's stack.
const maxFrames = 16

// sources tell lines of a module's sources. They hold its bytes, which only modules with debug information have them do.
type sources struct {
	module  []byte
	options rewrite.Options

	mu    sync.Mutex
	known map[uint32]lines.Position
}

// newSources returns nil for a module that knows no lines.
func newSources(module []byte, o rewrite.Options) *sources {
	if _, ok := custom(module, rewrite.LineSection); !ok {
		return nil
	}
	return &sources{module: bytes.Clone(module), options: o, known: map[uint32]lines.Position{}}
}

func custom(module []byte, name string) ([]byte, bool) {
	if !bytes.Contains(module, []byte(name)) {
		return nil, false
	}
	m, err := wasm.Decode(module, wasm.MaxCaps())
	if err != nil {
		return nil, false
	}
	return m.Custom(name)
}

// stack writes the guest's calls for people, innermost first: the function, and its line where it is known.
func (s *sources) stack(f *guest.Fault) []string {
	frames := slices.Clone(f.Trace[:min(len(f.Trace), maxFrames)])
	for i := range frames {
		frames[i] = functionName(frames[i])
	}
	if s == nil {
		return frames
	}
	for i, p := range s.positions(f.At[:len(frames)]) {
		if p.Line > 0 {
			frames[i] += fmt.Sprintf(" at %s:%d", p.File, p.Line)
		}
	}
	return frames
}

// positions looks the lines up that are not known yet.
func (s *sources) positions(at []uint32) []lines.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []uint32
	for _, offset := range at {
		if _, ok := s.known[offset]; !ok && offset > 0 && len(s.known)+len(missing) < maxKnown {
			missing = append(missing, offset)
		}
	}
	if len(missing) > 0 {
		s.learn(missing)
	}
	found := make([]lines.Position, len(at))
	for i, offset := range at {
		found[i] = s.known[offset]
	}
	return found
}

func (s *sources) learn(offsets []uint32) {
	for _, offset := range offsets {
		s.known[offset] = lines.Position{} // also if nothing is found
	}
	origins, err := rewrite.Origins(s.module, s.options, offsets)
	if err != nil {
		return
	}
	m, err := wasm.Decode(s.module, wasm.MaxCaps())
	if err != nil {
		return
	}
	var sections lines.Sections
	sections.Line, _ = m.Custom(rewrite.LineSection)
	sections.LineStr, _ = m.Custom(".debug_line_str")
	sections.Str, _ = m.Custom(".debug_str")
	for i, p := range lines.Find(sections, origins) {
		s.known[offsets[i]] = p
	}
}
