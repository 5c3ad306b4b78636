// Package code moves machine code that was just made from anonymous memory into files, so that what is not executed takes
// no memory. It makes no code and knows nothing of who does.
package code

import "sync"

// loading makes sure that memory which becomes executable between two looks at the process's maps is that of one load.
var loading sync.Mutex

// Apart calls make, which makes code that is not to be moved. Whatever in this process makes code does so here or in Around.
func Apart(make func() error) error {
	loading.Lock()
	defer loading.Unlock()
	return make()
}

// Mover replaces freshly made executable memory by mappings of files with the same bytes.
type Mover struct{ dir string }

// NewMover returns a mover that keeps its files in dir, which nobody else may write to.
func NewMover(dir string) *Mover { return &Mover{dir} }
