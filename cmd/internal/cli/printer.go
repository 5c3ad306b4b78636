package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"
)

// Format is what --output asks for.
type Format string

// Formats.
const (
	FormatTable Format = "table"
	FormatWide  Format = "wide"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
	FormatName  Format = "name"
)

// Formats lists them in the order of the help text.
var Formats = []Format{FormatTable, FormatWide, FormatJSON, FormatYAML, FormatName}

// ParseFormat reads the value of --output.
func ParseFormat(text string) (Format, error) {
	for _, f := range Formats {
		if string(f) == text {
			return f, nil
		}
	}
	return "", &UsageError{Attempt: "choose the output", Why: fmt.Sprintf("%q is not a format", text), Hint: "use table, wide, json, yaml or name"}
}

// Printer writes results in one format.
type Printer struct {
	Out    io.Writer
	Format Format
	// Color allows colour.
	Color bool
}

// Object prints one value: as JSON or YAML, its name, or whatever describe writes.
func (p *Printer) Object(value any, name string, describe func(*Details)) error {
	if p.isData() {
		return p.data(value)
	}
	if p.Format == FormatName {
		return p.line(name)
	}
	d := &Details{printer: p}
	describe(d)
	return d.flush()
}

func (p *Printer) isData() bool { return p.Format == FormatJSON || p.Format == FormatYAML }

func (p *Printer) data(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if p.Format == FormatYAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		_, err = p.Out.Write(text)
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%s\n", text)
	return err
}

// Streams reports whether results are for programs, which want nothing but the values.
func (p *Printer) Streams() bool { return p.isData() || p.Format == FormatName }

// Stream prints one value of many: a line of JSON, a YAML document, or its name.
func (p *Printer) Stream(value any, name string) error {
	if p.isData() {
		return p.stream(value)
	}
	return p.line(name)
}

// stream prints one value of many: a line of JSON, or a YAML document.
func (p *Printer) stream(value any) error {
	if p.Format == FormatYAML {
		if err := p.line("---"); err != nil {
			return err
		}
		return p.data(value)
	}
	return json.NewEncoder(p.Out).Encode(value)
}

func (p *Printer) line(text string) error {
	_, err := fmt.Fprintln(p.Out, Clean(text))
	return err
}

// Clean replaces control characters and what is not text, so that a name or a message from outside can't steer a
// terminal.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, text)
}
