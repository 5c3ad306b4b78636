package server

import (
	"context"

	"github.com/edgehold/edgehold/lwm2m"
)

// The operations of LwM2M one by one; all are [Server.Do] with the request that they name.

// Read reads an object, an instance, a resource or one of its instances (Core 1.2 §6.3.1).
func (s *Server) Read(ctx context.Context, endpoint string, p lwm2m.Path) (lwm2m.Tree, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpRead, Path: p})
	return a.Tree, err
}

// Discover lists what is below a path, with attributes (Core 1.2 §6.3.2). How deep is in [Request].Depth.
func (s *Server) Discover(ctx context.Context, endpoint string, p lwm2m.Path) (lwm2m.Links, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpDiscover, Path: p})
	return a.Links, err
}

// Write writes what the tree has at and below a path, and leaves the rest as it is (Core 1.2 §6.3.3, partial update).
func (s *Server) Write(ctx context.Context, endpoint string, p lwm2m.Path, t lwm2m.Tree) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpWrite, Path: p, Tree: t})
	return err
}

// Replace writes what the tree has at and below a path in place of all that is there (Core 1.2 §6.3.3).
func (s *Server) Replace(ctx context.Context, endpoint string, p lwm2m.Path, t lwm2m.Tree) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpReplace, Path: p, Tree: t})
	return err
}

// WriteAttributes sets and unsets notification attributes of a path (Core 1.2 §6.3.4). They are set again whenever the device
// registers anew.
func (s *Server) WriteAttributes(ctx context.Context, endpoint string, p lwm2m.Path, a lwm2m.Attributes) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpWriteAttributes, Path: p, Attributes: a})
	return err
}

// Execute executes a resource with arguments, or with none (Core 1.2 §6.3.5).
func (s *Server) Execute(ctx context.Context, endpoint string, p lwm2m.Path, arguments string) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpExecute, Path: p, Arguments: arguments})
	return err
}

// Create makes an instance of an object and returns its path (Core 1.2 §6.3.6): /9/3, or /9 and the tree says which; with instance
// NoID there, or no tree, the device chooses.
func (s *Server) Create(ctx context.Context, endpoint string, p lwm2m.Path, t lwm2m.Tree) (lwm2m.Path, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpCreate, Path: p, Tree: t})
	return a.Path, err
}

// Delete removes an instance (Core 1.2 §6.3.7).
func (s *Server) Delete(ctx context.Context, endpoint string, p lwm2m.Path) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpDelete, Path: p})
	return err
}

// ReadComposite reads several paths at once (Core 1.2 §6.3.8). What does not exist is left out. A device that does not know
// the operation is asked for one path after the other.
func (s *Server) ReadComposite(ctx context.Context, endpoint string, paths ...lwm2m.Path) (lwm2m.Tree, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpReadComposite, Paths: paths})
	return a.Tree, err
}

// WriteComposite writes resources of several instances at once (Core 1.2 §6.3.9), all or none. Where the device does not know
// the operation, one instance is written after the other, and an error may come after some were.
func (s *Server) WriteComposite(ctx context.Context, endpoint string, t lwm2m.Tree) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpWriteComposite, Tree: t})
	return err
}

// Observe begins to observe a path and returns what is there now; the event [Notified] brings what comes (Core 1.2 §6.4.1). An
// observation outlives restarts of the server and new registrations of the device. Who observes what is observed already
// gets the same observation.
func (s *Server) Observe(ctx context.Context, endpoint string, p lwm2m.Path) (ObservationID, lwm2m.Tree, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpObserve, Path: p})
	if len(a.Observations) == 0 {
		return 0, a.Tree, err
	}
	return a.Observations[0], a.Tree, err
}

// ObserveComposite begins to observe several paths together (Core 1.2 §6.4.2), or each alone where the device does not know
// the operation.
func (s *Server) ObserveComposite(ctx context.Context, endpoint string, paths ...lwm2m.Path) ([]ObservationID, lwm2m.Tree, error) {
	a, err := s.Do(ctx, endpoint, Request{Operation: OpObserveComposite, Paths: paths})
	return a.Observations, a.Tree, err
}

// Cancel ends an observation and tells the device (Core 1.2 §6.4.4). It has ended here whatever the device says.
func (s *Server) Cancel(ctx context.Context, endpoint string, id ObservationID) error {
	_, err := s.Do(ctx, endpoint, Request{Operation: OpCancel, Observation: id})
	return err
}
