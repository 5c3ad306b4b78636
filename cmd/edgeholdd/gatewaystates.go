package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// storedStates keeps security associations in the store.
type storedStates struct{ store *store.Store }

// Save stores or removes states, and waits until that is durable.
func (s storedStates) Save(states []dtls.State) error {
	var mark store.Mark
	for _, one := range states {
		var key [8]byte
		binary.BigEndian.PutUint64(key[:], uint64(one.ID))
		var err error
		if one.Bytes == nil {
			mark, err = s.store.Delete(store.Session, string(key[:]))
		} else {
			mark, err = s.store.Put(store.Session, string(key[:]), one.Bytes)
		}
		if err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.store.Wait(ctx, mark)
}

// Load calls f with every state.
func (s storedStates) Load(f func(dtls.State) error) error {
	return s.store.Each(store.Session, func(key, value []byte) error {
		if len(key) != 8 {
			return nil // not ours
		}
		return f(dtls.State{ID: dtls.ID(binary.BigEndian.Uint64(key)), Bytes: value})
	})
}

// forgetStates removes all associations, and waits until that is durable. Of a store that has lost records nobody knows whether the state of
// an association that is left is its last one: with an older one a sequence number would protect a second record, and what that costs
// lwm2m/coap/dtls/RATIONALE.md says.
func forgetStates(ctx context.Context, s *store.Store) error {
	var keys []string
	err := s.Each(store.Session, func(key, _ []byte) error {
		keys = append(keys, string(key))
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget security associations: %w", err)
	}
	var last store.Mark
	for _, key := range keys {
		if last, err = s.Delete(store.Session, key); err != nil {
			return fmt.Errorf("forget security associations: %w", err)
		}
	}
	return s.Wait(ctx, last)
}
