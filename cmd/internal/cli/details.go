package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Details is the long form of one thing: labelled values, headings and lines of text.
type Details struct {
	printer *Printer
	fields  [][2]string
	out     strings.Builder
}

// Field adds a labelled value. An empty one is left out.
func (d *Details) Field(label, value string) {
	if value != "" {
		d.fields = append(d.fields, [2]string{label, Clean(value)})
	}
}

// Fieldf adds a labelled value.
func (d *Details) Fieldf(label, format string, args ...any) {
	d.Field(label, fmt.Sprintf(format, args...))
}

// Heading begins a section.
func (d *Details) Heading(title string) {
	d.align()
	if d.out.Len() > 0 {
		d.out.WriteByte('\n')
	}
	title = Clean(title)
	if d.printer.Color {
		title = bold + title + plain
	}
	d.out.WriteString(title + "\n")
}

// Line adds a line of text, indented below a heading.
func (d *Details) Line(format string, args ...any) {
	d.align()
	d.out.WriteString("  " + Clean(fmt.Sprintf(format, args...)) + "\n")
}

// Text adds a line of text that stands alone.
func (d *Details) Text(format string, args ...any) {
	d.align()
	d.out.WriteString(Clean(fmt.Sprintf(format, args...)) + "\n")
}

// Rows adds a table, indented.
func Rows[T any](d *Details, t Table[T], items []T) {
	d.align()
	var text strings.Builder
	inner := *d.printer
	inner.Out, inner.Format = &text, FormatWide
	if List(&inner, t, items, nil) == nil {
		for line := range strings.Lines(text.String()) {
			d.out.WriteString("  " + line)
		}
	}
}

// align writes the fields that were added so far, their values in line.
func (d *Details) align() {
	width := 0
	for _, f := range d.fields {
		width = max(width, utf8.RuneCountInString(f[0]))
	}
	for _, f := range d.fields {
		d.out.WriteString(f[0] + ":" + strings.Repeat(" ", width-utf8.RuneCountInString(f[0])+1) + f[1] + "\n")
	}
	d.fields = d.fields[:0]
}

func (d *Details) flush() error {
	d.align()
	_, err := d.printer.Out.Write([]byte(d.out.String()))
	return err
}
