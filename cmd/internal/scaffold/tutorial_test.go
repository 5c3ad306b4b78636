package scaffold

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var codeBlock = regexp.MustCompile("(?s)```(go|yaml)\n(.*?)```")

// The tutorial quotes the projects that New writes, word for word.
func TestTutorialQuotesTheProject(t *testing.T) {
	text, err := os.ReadFile("../../../sdk/go/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := project("cpu-boost", Options{})
	if err != nil {
		t.Fatal(err)
	}
	workload, err := project("mean", Options{Workload: true})
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{
		"go":   string(files["policy.go"]) + string(files["policy_test.go"]) + string(workload["workload_test.go"]),
		"yaml": string(files["policy.yaml"]),
	}
	blocks := codeBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 7 {
		t.Errorf("found only %d blocks", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(sources[b[1]], b[2]) {
			t.Errorf("the project has no\n%s", b[2])
		}
	}
}
