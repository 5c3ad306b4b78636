package kernel

import (
	"maps"
	"slices"
)

// entryBytes is what a variable counts beside its name and its value, as in the SDKs of the Extism project.
const entryBytes = 40

// Vars are a plugin's variables: bytes by name, which outlive a call.
type Vars struct {
	values map[string][]byte
	bytes  int
}

// Get returns a variable's value. It is not the caller's to change.
func (v *Vars) Get(name []byte) (value []byte, ok bool) {
	value, ok = v.values[string(name)]
	return value, ok
}

// Set keeps a copy of the value under the name. It reports false if more than limit bytes would be kept.
func (v *Vars) Set(name, value []byte, limit int) bool {
	bytes := v.bytes + len(value)
	old, exists := v.values[string(name)]
	if exists {
		bytes -= len(old)
	} else {
		bytes += len(name) + entryBytes
	}
	if bytes > limit {
		return false
	}
	if v.values == nil {
		v.values = map[string][]byte{}
	}
	if exists && cap(old) >= len(value) {
		v.values[string(name)] = append(old[:0], value...)
	} else {
		v.values[string(name)] = slices.Clone(value)
	}
	v.bytes = bytes
	return true
}

// Delete forgets a variable.
func (v *Vars) Delete(name []byte) {
	if old, ok := v.values[string(name)]; ok {
		v.bytes -= len(name) + len(old) + entryBytes
		delete(v.values, string(name))
	}
}

// Clear forgets all variables.
func (v *Vars) Clear() {
	clear(v.values)
	v.bytes = 0
}

// Bytes returns what the variables count.
func (v *Vars) Bytes() int { return v.bytes }

// Names returns the variables' names in order.
func (v *Vars) Names() []string { return slices.Sorted(maps.Keys(v.values)) }
