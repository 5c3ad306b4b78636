package cli

import (
	"strings"
	"unicode/utf8"
)

const gap = "   "

// Column is one column of a table.
type Column[T any] struct {
	Title string
	// Wide columns are shown by --output wide alone.
	Wide bool
	// Right aligns numbers.
	Right bool
	// Status colours the words of a state.
	Status bool
	Text   func(T) string
}

// Table says how items are shown.
type Table[T any] struct {
	Columns []Column[T]
	// Name is what --output name prints.
	Name func(T) string
}

// List prints items: as a table, as names, or whole, which is the document that JSON and YAML show.
func List[T any](p *Printer, t Table[T], items []T, whole any) error {
	if p.isData() {
		return p.data(whole)
	}
	g := newGrid(p, t)
	for _, item := range items {
		g.add(item)
	}
	return g.flush()
}

// grid collects rows and knows how wide each column is.
type grid[T any] struct {
	printer *Printer
	table   Table[T]
	columns []Column[T]
	widths  []int
	rows    [][]string
	titled  bool
}

func newGrid[T any](p *Printer, t Table[T]) *grid[T] {
	g := &grid[T]{printer: p, table: t}
	for _, c := range t.Columns {
		if !c.Wide || p.Format == FormatWide {
			g.columns = append(g.columns, c)
			g.widths = append(g.widths, utf8.RuneCountInString(c.Title))
		}
	}
	return g
}

func (g *grid[T]) add(item T) {
	if g.printer.Format == FormatName {
		g.rows = append(g.rows, []string{Clean(g.table.Name(item))})
		return
	}
	row := make([]string, len(g.columns))
	for i, c := range g.columns {
		row[i] = Clean(c.Text(item))
		if row[i] == "" {
			row[i] = "-"
		}
		g.widths[i] = max(g.widths[i], utf8.RuneCountInString(row[i]))
	}
	g.rows = append(g.rows, row)
}

// flush prints the rows that were added, under the titles the first time. Widths only grow, so that a stream stays in line.
func (g *grid[T]) flush() error {
	var out strings.Builder
	if !g.titled && g.printer.Format != FormatName {
		titles := make([]string, len(g.columns))
		for i, c := range g.columns {
			titles[i] = c.Title
		}
		g.write(&out, titles, false)
	}
	g.titled = true
	for _, row := range g.rows {
		g.write(&out, row, g.printer.Color)
	}
	g.rows = g.rows[:0]
	_, err := g.printer.Out.Write([]byte(out.String()))
	return err
}

func (g *grid[T]) write(out *strings.Builder, row []string, color bool) {
	if g.printer.Format == FormatName {
		out.WriteString(row[0] + "\n")
		return
	}
	var line strings.Builder
	for i, cell := range row {
		if i > 0 {
			line.WriteString(gap)
		}
		padding := strings.Repeat(" ", g.widths[i]-utf8.RuneCountInString(cell))
		if color && g.columns[i].Status {
			cell = paint(cell)
		}
		if g.columns[i].Right {
			line.WriteString(padding + cell)
		} else {
			line.WriteString(cell + padding)
		}
	}
	out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}
