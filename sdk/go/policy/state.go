package policy

import (
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// State is what lasts from one episode to the next: values by key. Keys are at most 64 bytes, everything together at
// most 64 KiB. A value that is not there, or is of another type, reads as zero.
type State struct{ entries []wasmabi.Entry }

// Has reports whether there is a value.
func (s *State) Has(key string) bool { return s.find(key) != nil }

// Int gets a number put with PutInt.
func (s *State) Int(key string) int64 { return s.get(key, wasmabi.EntryInt).Int }

// Float gets a number put with PutFloat.
func (s *State) Float(key string) float64 { return s.get(key, wasmabi.EntryFloat).Float }

// Bool gets what PutBool put.
func (s *State) Bool(key string) bool { return s.get(key, wasmabi.EntryBool).Bool }

// Text gets what PutText put.
func (s *State) Text(key string) string { return s.get(key, wasmabi.EntryText).Text }

// Bytes gets what PutBytes put. It must not be changed.
func (s *State) Bytes(key string) []byte { return s.get(key, wasmabi.EntryBytes).Bytes }

// Floats gets what PutFloats put. It must not be changed.
func (s *State) Floats(key string) []float64 { return s.get(key, wasmabi.EntryFloats).Floats }

// Time gets what PutTime put; the zero time when there is nothing.
func (s *State) Time(key string) time.Time {
	e := s.find(key)
	if e == nil || e.Kind != wasmabi.EntryInt {
		return time.Time{}
	}
	return time.Unix(0, e.Int).UTC()
}

// Duration gets what PutDuration put.
func (s *State) Duration(key string) time.Duration { return time.Duration(s.Int(key)) }

// PutInt puts a whole number.
func (s *State) PutInt(key string, v int64) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryInt, Int: v})
}

// PutFloat puts a number.
func (s *State) PutFloat(key string, v float64) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryFloat, Float: v})
}

// PutBool puts true or false.
func (s *State) PutBool(key string, v bool) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryBool, Bool: v})
}

// PutText puts a text.
func (s *State) PutText(key, v string) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryText, Text: v})
}

// PutBytes puts bytes.
func (s *State) PutBytes(key string, v []byte) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryBytes, Bytes: v})
}

// PutFloats puts a list of numbers.
func (s *State) PutFloats(key string, v []float64) {
	s.put(wasmabi.Entry{Key: key, Kind: wasmabi.EntryFloats, Floats: v})
}

// PutTime puts a moment, to the nanosecond. The zero time takes the key away.
func (s *State) PutTime(key string, v time.Time) {
	if v.IsZero() {
		s.Delete(key)
		return
	}
	s.PutInt(key, v.UnixNano())
}

// PutDuration puts a duration.
func (s *State) PutDuration(key string, v time.Duration) { s.PutInt(key, int64(v)) }

// Delete takes a key away.
func (s *State) Delete(key string) {
	for i := range s.entries {
		if s.entries[i].Key == key {
			s.entries = append(s.entries[:i], s.entries[i+1:]...)
			return
		}
	}
}

// Keys lists what there is.
func (s *State) Keys() []string {
	keys := make([]string, len(s.entries))
	for i := range s.entries {
		keys[i] = s.entries[i].Key
	}
	return keys
}

func (s *State) put(e wasmabi.Entry) {
	if old := s.find(e.Key); old != nil {
		*old = e
		return
	}
	s.entries = append(s.entries, e)
}

func (s *State) find(key string) *wasmabi.Entry {
	for i := range s.entries {
		if s.entries[i].Key == key {
			return &s.entries[i]
		}
	}
	return nil
}

func (s *State) get(key string, kind wasmabi.EntryKind) wasmabi.Entry {
	if e := s.find(key); e != nil && e.Kind == kind {
		return *e
	}
	return wasmabi.Entry{}
}
