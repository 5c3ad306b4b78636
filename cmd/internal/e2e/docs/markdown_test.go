package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is a fenced code block of a Markdown document.
type block struct {
	mark  string // what follows the opening fence
	line  int    // of its first line in the document
	lines []string
}

var fence = regexp.MustCompile("^ {0,3}```+ *([a-z]*)$")

// blocks returns the fenced code blocks of a document in their order.
func blocks(text string) []block {
	var all []block
	open := false
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open:
			open = false
		case m != nil:
			open = true
			all = append(all, block{mark: m[1], line: i + 2})
		case open:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all
}

// step is what bash is given at once: a line, or the lines of one command that spans several.
type step struct {
	line int
	text string
}

// steps cuts a block into commands.
func (b block) steps() []step {
	var all []step
	var open *step
	for i, line := range b.lines {
		if open == nil && strings.TrimSpace(line) == "" {
			continue
		}
		if open == nil {
			all = append(all, step{line: b.line + i, text: line})
			open = &all[len(all)-1]
		} else {
			open.text += "\n" + line
		}
		if whole(open.text) {
			open = nil
		}
	}
	return all
}

// whole reports whether bash takes the text as complete: no open quote, here-document or loop.
func whole(text string) bool {
	if strings.HasSuffix(text, "\\") {
		return false
	}
	complaint, err := exec.Command("bash", "-n", "-c", text).CombinedOutput()
	return err == nil && len(complaint) == 0
}

func TestBlocks(t *testing.T) {
	text := "a\n```sh\none \\\n  more\n\ncat <<E\nx\nE\nlast\n```\n\n```\nnot run\n```\n"
	got := blocks(text)
	want := []block{
		{mark: "sh", line: 3, lines: []string{"one \\", "  more", "", "cat <<E", "x", "E", "last"}},
		{line: 13, lines: []string{"not run"}},
	}
	if diff := cmp.Diff(got, want, cmp.AllowUnexported(block{})); diff != "" {
		t.Errorf("blocks (-got +want):\n%s", diff)
	}
	wantSteps := []step{{3, "one \\\n  more"}, {6, "cat <<E\nx\nE"}, {9, "last"}}
	if diff := cmp.Diff(got[0].steps(), wantSteps, cmp.AllowUnexported(step{})); diff != "" {
		t.Errorf("steps (-got +want):\n%s", diff)
	}
}
