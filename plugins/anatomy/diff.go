package anatomy

import (
	"maps"
	"slices"
)

// Difference is how the code of two modules differs. Functions are told apart by name; calls that were renumbered because a
// function came before them count as differences of code.
type Difference struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Same    int      `json:"same"`              // functions whose code is the same
	Unnamed int      `json:"unnamed,omitempty"` // functions whose code differs and that have no name, of the second module
}

// Compare compares the functions of two modules.
func Compare(a, b *Module) Difference {
	before, after := a.named(), b.named()
	codes := map[[32]byte]int{}
	for _, f := range a.Functions {
		codes[f.Sum]++
	}
	var d Difference
	for _, f := range b.Functions {
		switch old, known := before[f.Name]; {
		case codes[f.Sum] > 0 && (f.Name == "" || known && old.Sum == f.Sum):
			codes[f.Sum]--
			d.Same++
		case f.Name == "":
			d.Unnamed++
		case !known:
			d.Added = append(d.Added, f.Name)
		default:
			d.Changed = append(d.Changed, f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, there := after[name]; !there {
			d.Removed = append(d.Removed, name)
		}
	}
	slices.Sort(d.Added)
	slices.Sort(d.Changed)
	return d
}

func (m *Module) named() map[string]Function {
	all := map[string]Function{}
	for _, f := range m.Functions {
		if f.Name != "" {
			all[f.Name] = f
		}
	}
	return all
}
