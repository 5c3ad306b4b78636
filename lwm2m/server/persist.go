package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m/store"
)

// What is stored of a device is by its name: see the kinds of lwm2m/store. A registration is answered before it is durable,
// as a device whose registration a crash loses learns that with its next update.

func (s *Server) put(k store.Kind, key string, value []byte) store.Mark {
	if s.config.Store == nil {
		return 0
	}
	mark, err := s.config.Store.Put(k, key, value)
	s.complain(err)
	return mark
}

func (s *Server) remove(k store.Kind, key string) {
	if s.config.Store != nil {
		_, err := s.config.Store.Delete(k, key)
		s.complain(err)
	}
}

// complain logs that something is in memory only, not more often than an operator can bear.
func (s *Server) complain(err error) {
	if err != nil {
		s.complaints.Do(func() { s.config.Logger.Error("the LwM2M server could not store what a restart needs", "error", err) })
	}
}

// The following are called with the device locked, so that what is stored last is what was last. Of a device that is gone nothing
// is stored and nothing removed: its name may be another registration's by now.

func (s *Server) saveRegistration(d *device) {
	s.save(d, store.Registration, true, d.encode)
}

func (s *Server) saveObservations(d *device) {
	s.save(d, store.Observation, len(d.observations) > 0, func() []byte { return encodeObservations(d.observations) })
}

func (s *Server) saveAttributes(d *device) {
	s.save(d, store.Attributes, len(d.wanted) > 0, func() []byte { return encodeAttributes(d.wanted) })
}

func (s *Server) saveFormats(d *device) {
	s.save(d, store.Formats, d.refused != 0, func() []byte { return []byte{storedVersion, byte(d.refused)} })
}

// save stores what a device has of a kind, or removes it if it has nothing.
func (s *Server) save(d *device, k store.Kind, has bool, value func() []byte) {
	switch {
	case s.config.Store == nil || d.gone:
	case has:
		s.put(k, d.endpoint, value())
	default:
		s.remove(k, d.endpoint)
	}
}

// queueKey has the number first, so that all of it is found again whatever the name holds.
func queueKey(endpoint string, id RequestID) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(id))) + endpoint
}

// saveQueue stores a job that waits, or removes one that does not wait any more. What it returns waits until that is durable.
func (s *Server) saveQueue(d *device, j *job) (saved func(context.Context) error) {
	saved = func(context.Context) error { return nil }
	if !j.durable {
		return saved
	}
	key := queueKey(d.endpoint, j.id)
	if d.queue == nil || !slices.Contains(d.queue.jobs, j) {
		s.remove(store.Queued, key)
		return saved
	}
	mark, err := s.config.Store.Put(store.Queued, key, j.encode())
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		return s.config.Store.Wait(ctx, mark)
	}
}

// forget removes all that is stored of a device.
func (s *Server) forget(d *device) {
	if s.config.Store == nil {
		return
	}
	for _, k := range [...]store.Kind{store.Registration, store.Observation, store.Attributes, store.Formats} {
		s.remove(k, d.endpoint)
	}
	for i := range d.queue.length() {
		if j := d.queue.jobs[i]; j.durable {
			s.remove(store.Queued, queueKey(d.endpoint, j.id))
		}
	}
}

// restore takes over what the store remembers. Every registration gets a whole lifetime from now on: while the server was away
// nobody could update.
func (s *Server) restore() error {
	if s.config.Store == nil {
		return nil
	}
	var restored []*device
	now := milliseconds(time.Now())
	err := s.config.Store.Each(store.Registration, func(key, value []byte) error {
		if d := s.restoreRegistration(string(key), value, now); d != nil {
			restored = append(restored, d)
		}
		return nil
	})
	if err == nil {
		err = s.restoreRest()
	}
	for _, d := range restored {
		d.mu.Lock()
		s.resume(d)
		d.mu.Unlock()
	}
	return err
}

func (s *Server) restoreRegistration(endpoint string, value []byte, now int64) *device {
	d := &device{endpoint: endpoint, refreshed: now}
	document, err := d.decodeRegistration(value)
	if err == nil {
		d.links, err = s.acquireLinks(document)
	}
	if err != nil {
		s.config.Logger.Warn("a stored registration could not be read; its device will register again", "endpoint", endpoint, "error", err)
		s.remove(store.Registration, endpoint)
		return nil
	}
	s.byEndpoint.put(endpoint, d)
	s.byID.put(d.id, d)
	s.byPlace.put(s.place(d.peer), d)
	return d
}

// restoreRest gives the devices what else is stored of them, and removes what belongs to none.
func (s *Server) restoreRest() error {
	each := func(k store.Kind, of func(key []byte) string, take func(d *device, key, value []byte) error) error {
		var orphans []string
		err := s.config.Store.Each(k, func(key, value []byte) error {
			d := s.byEndpoint.get(of(key))
			if d == nil || take(d, key, value) != nil {
				orphans = append(orphans, string(key))
			}
			return nil
		})
		for _, key := range orphans {
			s.remove(k, key)
		}
		return err
	}
	same := func(key []byte) string { return string(key) }
	return errors.Join(
		each(store.Observation, same, func(d *device, _, value []byte) (err error) {
			d.observations, err = decodeObservations(value)
			d.observations = slices.DeleteFunc(d.observations, func(o *observation) bool { return o.under == 0 }) // nobody was told of it
			for _, o := range d.observations {
				s.byToken.put(o.token, d)
			}
			return err
		}),
		each(store.Attributes, same, func(d *device, _, value []byte) (err error) {
			d.wanted, err = decodeAttributes(value)
			return err
		}),
		each(store.Formats, same, func(d *device, _, value []byte) error {
			if len(value) != 2 || value[0] != storedVersion {
				return errStored
			}
			d.refused = formatSet(value[1])
			return nil
		}),
		each(store.Queued, func(key []byte) string { return string(key[min(8, len(key)):]) }, func(d *device, key, value []byte) error {
			j, err := decodeJob(value)
			if err != nil || j.request.check() != nil {
				return errStored
			}
			j.id = RequestID(binary.BigEndian.Uint64(key))
			if d.queue == nil {
				d.queue = new(queue)
			}
			d.queue.jobs = append(d.queue.jobs, j)
			return nil
		}),
	)
}

// resume goes on where the last run of the server ended. The device is locked.
func (s *Server) resume(d *device) {
	if d.queue != nil {
		slices.SortFunc(d.queue.jobs, func(a, b *job) int { return cmp.Compare(a.id, b.id) })
	}
	for _, o := range d.observations {
		if o.under != d.id { // it was to be begun anew
			d.flags |= followUp
		}
	}
	s.schedule(d)
	if !d.asleep() && (d.flags&followUp != 0 || d.queue.length() > 0) {
		s.work.add(d)
	}
}
