package software

import (
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// WriteBlock takes the next part of a package. The head of it is judged as soon as it is there, so that what is not trusted is never
// stored whole.
func (m *Manager) WriteBlock(p lwm2m.Path, b client.Block) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := p.Instance()
	r := m.records[id]
	if r == nil {
		return client.ErrNotFound
	}
	if b.Offset == 0 {
		if err := m.begin(id, *r, ""); err != nil {
			return err
		}
	} else if r.State != DownloadStarted || r.URI != "" {
		return fmt.Errorf("package %d at offset %d: %w", id, b.Offset, client.ErrIncomplete)
	}
	if b.Size > m.config.MaxPackage+parcel.MaxHead {
		return m.turnDown(id, fmt.Errorf("%d bytes are announced: %w", b.Size, errQuota))
	}
	return m.take(id, b.Offset, b.Data, b.Last)
}

// take appends a part, from a server or from a URI.
func (m *Manager) take(id uint16, offset int64, data []byte, last bool) error {
	have := m.disk.partLength(id)
	switch end := offset + int64(len(data)); {
	case offset > have, offset < have && end > have:
		return fmt.Errorf("package %d at offset %d, %d bytes have come: %w", id, offset, have, client.ErrIncomplete)
	case offset < have && !m.disk.repeats(id, offset, data):
		return fmt.Errorf("package %d at offset %d is not what came before: %w", id, offset, client.ErrIncomplete)
	case offset == have:
		if err := m.room(id, end); err != nil {
			return m.turnDown(id, err)
		}
		if err := m.disk.appendPart(id, offset, data); err != nil {
			return m.turnDown(id, err)
		}
		if err := m.inspect(id, data); err != nil {
			return m.turnDown(id, err)
		}
	}
	if !last {
		return nil
	}
	if err := m.deliver(id); err != nil {
		return m.turnDown(id, err)
	}
	return nil
}

// room refuses what would be longer than it says or than there is place for.
func (m *Manager) room(id uint16, end int64) error {
	a := m.heads[id]
	if end > m.config.MaxPackage+parcel.MaxHead {
		return fmt.Errorf("more than %d bytes: %w", m.config.MaxPackage, errQuota)
	}
	if a != nil && a.length != 0 && end > a.length {
		return &parcel.Error{Code: parcel.CodeDigest, What: "take a package", Why: "it goes on after its end", Hint: "send it again"}
	}
	return nil
}

// inspect judges the head once it is there.
func (m *Manager) inspect(id uint16, data []byte) error {
	a := m.heads[id]
	if a == nil { // the step after the last one could not be kept, and the package comes again
		a = &arrival{}
		m.heads[id] = a
	}
	if a.head != nil {
		return nil
	}
	a.begin = append(a.begin, data[:min(len(data), parcel.MaxHead-len(a.begin))]...)
	h, module, more, err := parcel.ParseHead(a.begin)
	if err != nil || more {
		return err
	}
	if err := m.config.Trust.Check(h); err != nil {
		return err
	}
	a.head, a.length, a.begin = h, int64(module)+int64(h.Statement.Length), nil
	return nil
}

// turnDown goes back to INITIAL and tells the server why.
func (m *Manager) turnDown(id uint16, cause error) error {
	code := client.ErrBadRequest
	if resultOf(cause) == ResultNoStorage {
		code = client.ErrTooLarge
	}
	return errors.Join(m.refuse(id, cause), fmt.Errorf("take package %d: %w: %w", id, cause, code))
}
