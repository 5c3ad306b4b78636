package wasmabi

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The README takes a vector apart; its first column is the vector's bytes.
func TestReadmeShowsAVector(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(88 .*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no such block")
	}
	var got strings.Builder
	for line := range strings.Lines(string(block[1])) {
		got.WriteString(strings.ReplaceAll(strings.TrimSpace(line[:41]), " ", ""))
	}
	for _, s := range samples() {
		if want := hexadecimal(codecFor(s.kind).append(nil, s.message)); s.name == "observation-missing" && got.String() != want {
			t.Errorf("got  %s\nwant %s", got.String(), want)
		}
	}
}
