package cli

import (
	"errors"
	"iter"

	"github.com/edgehold/edgehold/agents/api"
)

// Watch prints changes as they come: a row for each, a line of JSON, a YAML document, or a name. What is present at the
// start is one table.
func Watch[T any](p *Printer, t Table[T], changes iter.Seq2[api.Change[T], error]) error {
	g := newGrid(p, t)
	for change, err := range changes {
		if err == nil {
			err = show(p, g, change)
		}
		if err != nil {
			return errors.Join(g.rest(), err)
		}
	}
	return g.rest()
}

func show[T any](p *Printer, g *grid[T], change api.Change[T]) error {
	switch {
	case p.isData():
		return p.stream(change)
	case change.Type == api.ChangeListed:
		return g.flush()
	case change.Type == api.ChangeGone:
		return p.line(change.Name + " is gone")
	case change.Item == nil:
		return nil
	}
	g.add(*change.Item)
	if change.Type == api.ChangePresent {
		return nil
	}
	return g.flush()
}

// rest prints rows that still wait for others.
func (g *grid[T]) rest() error {
	if len(g.rows) == 0 {
		return nil
	}
	return g.flush()
}
