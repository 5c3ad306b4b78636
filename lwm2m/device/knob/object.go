package knob

import (
	"fmt"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Object 19 and its resources that this device has (BinaryAppDataContainer 1.0).
const (
	objectID = 19

	resData        = 0
	resTime        = 2
	resDescription = 3
	resFormat      = 4

	instanceCommand = 0
	instanceAnswer  = 1

	maxCommand = 256 // bytes
	maxLabel   = 32  // bytes of Data Description and Data Format, as OMA has it
)

var definition = client.Definition{ID: objectID, Version: lwm2m.V1_0, Multiple: true, Resources: []client.Resource{
	{ID: resData, Name: "Data", Kind: lwm2m.KindOpaque, Operations: client.ReadWrite, Multiple: true, Mandatory: true},
	{ID: resTime, Name: "Data Creation Time", Kind: lwm2m.KindTime, Operations: client.ReadWrite},
	{ID: resDescription, Name: "Data Description", Kind: lwm2m.KindString, Operations: client.ReadWrite},
	{ID: resFormat, Name: "Data Format", Kind: lwm2m.KindString, Operations: client.ReadWrite},
}}

// Shell is object 19 with one instance: a command goes into the first element of its data, the answer comes out of the second.
type Shell struct {
	panel *Panel

	mu       sync.Mutex
	command  string
	answer   string
	at       time.Time
	label    string // Data Description
	format   string // Data Format
	announce func(lwm2m.Path)
}

// NewShell makes the object.
func NewShell(p *Panel) *Shell {
	return &Shell{panel: p, label: "mlsysops shell", format: "text/plain"}
}

// Definition describes the object.
func (s *Shell) Definition() *client.Definition { return &definition }

// Instances appends the id of the one instance.
func (s *Shell) Instances(dst []uint16) []uint16 { return append(dst, 0) }

// Read appends the value of a resource.
func (s *Shell) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p.Resource() {
	case resData:
		return append(dst,
			lwm2m.Record{Path: p.Child(instanceCommand), Value: lwm2m.OpaqueString(s.command)},
			lwm2m.Record{Path: p.Child(instanceAnswer), Value: lwm2m.OpaqueString(s.answer)}), nil
	case resTime:
		if !s.at.IsZero() {
			dst = append(dst, lwm2m.Record{Path: p, Value: lwm2m.Time(s.at)})
		}
	case resDescription:
		dst = append(dst, lwm2m.Record{Path: p, Value: lwm2m.String(s.label)})
	case resFormat:
		dst = append(dst, lwm2m.Record{Path: p, Value: lwm2m.String(s.format)})
	}
	return dst, nil
}

// Write runs the command that it carries. LwM2M 1.0 has no writing of one element: there it comes as part of the resource.
func (s *Shell) Write(_ lwm2m.Path, t lwm2m.Tree, _ client.WriteMode) error {
	command := lwm2m.PathOf(objectID, 0, resData, instanceCommand)
	for _, r := range t {
		if r.Value.IsNone() {
			continue
		}
		if s.describe(r.Path, r.Value) {
			continue
		}
		if r.Path != command {
			return fmt.Errorf("write %s: commands go to %s: %w", r.Path, command, client.ErrNotAllowed)
		}
		if len(r.Value.Text()) > maxCommand {
			return fmt.Errorf("a command of %d bytes: %w", len(r.Value.Text()), client.ErrTooLarge)
		}
	}
	if v, ok := t.Value(command); ok {
		s.run(v.Text())
	}
	return nil
}

// describe sets what servers may note about the data. It means nothing to the shell, and a restart forgets it.
func (s *Shell) describe(p lwm2m.Path, v lwm2m.Value) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(v.Text()) > maxLabel || p.Depth() != 3:
		return false
	case p.Resource() == resTime:
		s.at = v.Time()
	case p.Resource() == resDescription:
		s.label = v.Text()
	case p.Resource() == resFormat:
		s.format = v.Text()
	default:
		return false
	}
	return true
}

func (s *Shell) run(command string) {
	answer := s.panel.Answer(command)
	s.mu.Lock()
	s.command, s.answer, s.at = command, answer, time.Now()
	announce := s.announce
	s.mu.Unlock()
	if announce != nil {
		announce(lwm2m.PathOf(objectID, 0, resData))
	}
}

// Announce is how the engine wants to hear of changes.
func (s *Shell) Announce(changed func(lwm2m.Path)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announce = changed
}
