// Package cli prints what a command has to say: tables, details, JSON, YAML, names, streams of changes, progress and errors of four parts.
// It is not the commands: it knows no noun and asks no agent.
//
// # Rules
//
//   - Results go to standard output, everything else to standard error.
//   - Colour and progress appear on a terminal only, and colour never when NO_COLOR is set (no-color.org).
//   - Text that came from outside can't move the cursor: control characters are replaced.
package cli
