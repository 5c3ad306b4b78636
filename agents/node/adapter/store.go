package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/plugins/store"
)

// Store is an adapter's kv in a file of its own, so that the guard can use it too while no daemon runs. A damaged file is
// set aside and the store begins empty: what an adapter keeps there it can find out again.
type Store struct {
	path string
	mu   sync.Mutex
}

var _ capability.Store = (*Store)(nil)

// maxStore bounds the file.
const maxStore = 256 << 10

// NewStore returns the store in a file, which need not exist; its folder has to.
func NewStore(path string) *Store { return &Store{path: path} }

// Get implements capability.Store.
func (s *Store) Get(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, err := s.load()
	v, found := items[key]
	return v, found, err
}

// Set implements capability.Store. The value is on disk when it returns.
func (s *Store) Set(_ context.Context, key string, value []byte, most uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, err := s.load()
	if err != nil {
		return err
	}
	if old, found := items[key]; found && bytes.Equal(old, value) {
		return nil
	}
	items[key] = value
	size := uint64(0)
	for k, v := range items {
		size += uint64(len(k) + len(v))
	}
	if size > most {
		return capability.ErrStoreFull
	}
	return s.save(items)
}

// Delete implements capability.Store.
func (s *Store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, err := s.load()
	if _, found := items[key]; !found || err != nil {
		return err
	}
	delete(items, key)
	return s.save(items)
}

// Remove forgets everything.
func (s *Store) Remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// load reads the file each time: the guard may have written it.
func (s *Store) load() (map[string][]byte, error) {
	items := map[string][]byte{}
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return items, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the adapter's store: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStore+1))
	if err != nil {
		return nil, fmt.Errorf("read the adapter's store: %w", err)
	}
	if len(b) > maxStore || json.Unmarshal(b, &items) != nil || items == nil {
		return map[string][]byte{}, os.Rename(s.path, s.path+".damaged")
	}
	return items, nil
}

// save replaces the file in one step.
func (s *Store) save(items map[string][]byte) error {
	b, err := json.Marshal(items)
	if err == nil {
		err = store.ReplaceFile(s.path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the adapter's store: %w", err)
	}
	return nil
}
