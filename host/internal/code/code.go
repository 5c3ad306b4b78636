// Package code moves machine code that was just made from anonymous memory into files, so that what is not executed takes
// no memory. It makes no code and knows nothing of who does.
package code

// Mover replaces freshly made executable memory by mappings of files with the same bytes.
type Mover struct{ dir string }

// NewMover returns a mover that keeps its files in dir, which nobody else may write to.
func NewMover(dir string) *Mover { return &Mover{dir} }
