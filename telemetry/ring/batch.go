package ring

// Batch appends many samples that belong together, so that watches see them all or none: the sum
// over all CPUs is judged once, after the last CPU, and never half new and half old.
//
// A batch is for one goroutine and may be used again after Commit.
type Batch struct {
	store   *Store
	touched map[*Selection]struct{}
}

// Batch returns an empty batch.
func (s *Store) Batch() *Batch { return &Batch{store: s, touched: make(map[*Selection]struct{})} }

// Append adds one sample to r. It can be read at once; watches wait for Commit.
func (b *Batch) Append(r *Series, unixMS int64, v float64) error {
	live, err := r.add(unixMS, v)
	if err != nil {
		return err
	}
	for _, sel := range live.readers() {
		sel.dirty.Store(true)
		if sel.watched.Load() > 0 {
			b.touched[sel] = struct{}{}
		}
	}
	return nil
}

// AppendTo adds one sample to the series of name and labels.
func (b *Batch) AppendTo(name string, ls []Label, unixMS int64, v float64) error {
	r, err := b.store.find(name, ls)
	if err != nil {
		return err
	}
	return b.Append(r, unixMS, v)
}

// Commit judges the watches of everything that was appended.
func (b *Batch) Commit() {
	for sel := range b.touched {
		sel.settle()
	}
	clear(b.touched)
}
