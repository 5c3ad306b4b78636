package cli

import (
	"iter"

	"github.com/edgehold/edgehold/agents/api"
)

// Watch prints changes as they come: a row for each, a line of JSON, a YAML document, or a name.
func Watch[T any](p *Printer, t Table[T], changes iter.Seq2[api.Change[T], error]) error {
	g := newGrid(p, t)
	for change, err := range changes {
		switch {
		case err != nil:
			return err
		case p.isData():
			err = p.stream(change)
		case change.Item == nil:
			err = p.line(change.Name + " is gone")
		default:
			g.add(*change.Item)
			err = g.flush()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
