package languages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var quotation = regexp.MustCompile("(?s)```(?:c|rust|ts)\n(.*?)```")

// The pages quote the projects that `edgehold policy new` writes, word for word.
func TestPagesQuoteTheTemplates(t *testing.T) {
	for _, l := range kits {
		root := filepath.Join(sdk, string(l))
		page, err := os.ReadFile(filepath.Join(root, "README.md"))
		must(t, err)
		quoted := quotation.FindAllStringSubmatch(string(page), -1)
		if len(quoted) < 2 {
			t.Errorf("%s: the page quotes only %d blocks", l, len(quoted))
		}
		sources := contents(t, filepath.Join(root, "template"))
		for _, q := range quoted {
			for _, part := range strings.Split(strings.TrimSpace(q[1]), "\n\n") {
				if !strings.Contains(sources, strings.TrimSpace(part)) {
					t.Errorf("%s: the template has no\n%s", l, part)
				}
			}
		}
	}
}

func contents(t *testing.T, dir string) string {
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}
