package store

// Bucket is the part of a store that holds one kind of record, for who knows nothing of the others.
type Bucket struct {
	store *Store
	kind  Kind
}

// Bucket returns the part of the store that holds a kind.
func (s *Store) Bucket(k Kind) Bucket { return Bucket{s, k} }

// Put stores a value. A crash within the next [Options.Window] may lose it.
func (b Bucket) Put(id, value []byte) error {
	_, err := b.store.Put(b.kind, string(id), value)
	return err
}

// Get returns a copy of a value.
func (b Bucket) Get(id []byte) (value []byte, found bool, err error) {
	return b.store.Get(b.kind, string(id))
}

// Delete forgets a value, if there is one.
func (b Bucket) Delete(id []byte) error {
	_, err := b.store.Delete(b.kind, string(id))
	return err
}
