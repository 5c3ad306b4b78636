package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/plugins/toolchain"
)

func TestMain(m *testing.M) {
	reaper()
	code := m.Run()
	if !testing.Short() {
		if dir, _ := programs(); dir != "" {
			os.RemoveAll(dir)
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error())
		code = 1
	}
	os.Exit(code)
}

// markdown lists the documents of the repository. Templates and what tests feed on are not for people.
func markdown(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range tracked(t, "*.md") {
		if !strings.Contains(name, "/testdata/") {
			found = append(found, name)
		}
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestShellLines runs each document. The one that needs the machine for itself comes first, then the others, two at a time.
func TestShellLines(t *testing.T) {
	if testing.Short() {
		t.Skip("running the documents takes a minute or two")
	}
	for _, name := range markdown(t) {
		all := shellBlocks(read(t, name))
		if len(all) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d := documents[name]
			if !d.alone {
				t.Parallel()
			}
			d.run(t, name, all)
		})
	}
}

func shellBlocks(text string) []block {
	var all []block
	for _, b := range blocks(text) {
		if b.mark == "sh" {
			all = append(all, b)
		}
	}
	return all
}

func (d document) run(t *testing.T, name string, all []block) {
	d.demand(t)
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, bin)
	if !d.ownDaemon {
		s.daemon()
	}
	var steps []step
	if d.inClone {
		steps = append(steps, step{text: "cd " + s.clone()})
	}
	if d.before != "" {
		steps = append(steps, step{text: d.before})
	}
	for _, b := range all {
		if d.beforeEach != nil {
			steps = append(steps, step{line: b.line - 1, text: d.beforeEach(b)})
		}
		for _, one := range b.steps() {
			if !isNotRun(notRun, one.text) && !isNotRun(d.notRun, one.text) {
				steps = append(steps, s.adapt(one, d.toTheEnd))
			}
		}
	}
	result, err := s.play(name, steps)
	if err != nil {
		t.Fatal(err)
	}
	d.check(t, name, result)
}

// demand skips where a program is missing that the document says one has to have.
func (d document) demand(t *testing.T) {
	t.Helper()
	for _, program := range d.needs {
		_, err := exec.LookPath(program)
		switch program {
		case "tinygo":
			_, err = toolchain.FindTinyGo()
		case "cargo":
			_, err = toolchain.FindCargo()
		}
		switch {
		case err != nil && os.Getenv("EDGEHOLD_SKIP_NOTHING") != "":
			t.Fatal(err)
		case err != nil:
			t.Skipf("%v: make packages toolchains installs it", err)
		}
	}
}

// endless recognises commands that go on until they are interrupted.
var endless = regexp.MustCompile(`^edgehold .*(\bwatch\b|--watch\b|\bregistry serve\b|policy dev\b)`)

// adapt makes a line of a document fit to be run in a test.
func (s *stage) adapt(one step, toTheEnd bool) step {
	var pairs []string
	for place, instead := range places {
		pairs = append(pairs, place, s.dir+instead)
	}
	for from, to := range s.ports {
		pairs = append(pairs, from, to)
	}
	one.text = strings.NewReplacer(pairs...).Replace(one.text)
	if !toTheEnd && endless.MatchString(one.text) && !strings.Contains(one.text, " --once") {
		one.text = "interrupted " + one.text
	}
	return one
}

// check looks for what the document promises, in the order in which it does.
func (d document) check(t *testing.T, name string, result []ran) {
	t.Helper()
	for _, want := range d.shows {
		for len(result) > 0 && !strings.HasPrefix(result[0].text, want.line) {
			result = result[1:]
		}
		if len(result) == 0 {
			t.Errorf("%s: no line %q was run", name, want.line)
			return
		}
		if !regexp.MustCompile(want.output).MatchString(result[0].output) {
			t.Errorf("%s:%d: %s shows\n%s\nwhich lacks %q", name, result[0].line, want.line, result[0].output, want.output)
		}
		result = result[1:]
	}
}

// marks are the kinds of blocks that documents have.
var marks = []string{"", "sh", "console", "go", "json", "yaml", "ini", "c", "rust", "ts"}

// command is how a line begins that looks like one for a shell.
var command = regexp.MustCompile(`^(\$ |(edgeholdd?|go|make|cd|curl) [a-z-])`)

// TestShellLinesAreMarked finds lines that a reader would type and that no test would run.
func TestShellLinesAreMarked(t *testing.T) {
	for _, name := range markdown(t) {
		text := read(t, name)
		for _, b := range blocks(text) {
			if !slices.Contains(marks, b.mark) {
				t.Errorf("%s:%d: a block is marked %q; choose one of %q", name, b.line-1, b.mark, marks)
			}
			for i, line := range b.lines {
				if b.mark == "" && command.MatchString(line) && !usage.MatchString(line) {
					t.Errorf("%s:%d: %q is for a shell; mark the block sh, or console if it shows output", name, b.line+i, line)
				}
			}
		}
		for i, line := range strings.Split(text, "\n") {
			if indented, ok := strings.CutPrefix(line, "    "); ok && command.MatchString(indented) {
				t.Errorf("%s:%d: %q is for a shell; put it into a block marked sh", name, i+1, indented)
			}
		}
	}
}

// usage recognises the synopsis of a command.
var usage = regexp.MustCompile(`^edgehold( [a-z]+)+( [\[A-Z].*| heuristic\|ml)?$`)

// isNotRun finds a line, or the words that it begins with before " ...".
func isNotRun(lines map[string]string, text string) bool {
	for line := range lines {
		if begin, all := strings.CutSuffix(line, "..."); line == text || all && strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}
