package cli

// Rolling prints rows as they come.
type Rolling[T any] struct{ grid *grid[T] }

// Roll begins a table that goes on: its titles are printed with the first row.
func Roll[T any](p *Printer, t Table[T]) *Rolling[T] { return &Rolling[T]{newGrid(p, t)} }

// Add prints one row; for programs the whole, as a line of JSON or a YAML document.
func (r *Rolling[T]) Add(item T, whole any) error {
	if r.grid.printer.isData() {
		return r.grid.printer.stream(whole)
	}
	r.grid.add(item)
	return r.grid.flush()
}
