package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources are a machine's package archives in apt's two notations.
type sources struct {
	stanzas string // deb822
	lines   string // one line each
}

// debianSources reads which archives of the distribution itself a machine uses, leaving out other vendors', which may not
// have the architecture asked for. etc is apt's folder, release the os-release file.
func debianSources(etc, release string) (sources, error) {
	suite, err := suiteOf(release)
	if err != nil {
		return sources{}, err
	}
	var s sources
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		files, _ := filepath.Glob(filepath.Join(etc, pattern))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return sources{}, err
			}
			if strings.HasSuffix(f, ".sources") {
				s.stanzas += chosen(string(b), "\n\n", suite)
			} else {
				s.lines += chosen(string(b), "\n", suite)
			}
		}
	}
	if s == (sources{}) {
		return s, fmt.Errorf("find the package archives of %s: none in %s", suite, etc)
	}
	return s, nil
}

// chosen keeps the parts of text that name the suite, or one that extends it ("bookworm-updates").
func chosen(text, separator, suite string) string {
	var kept strings.Builder
	for part := range strings.SplitSeq(text, separator) {
		if slices.ContainsFunc(strings.Fields(uncommented(part)), func(word string) bool {
			return word == suite || strings.HasPrefix(word, suite+"-")
		}) {
			kept.WriteString(part + separator)
		}
	}
	return kept.String()
}

func uncommented(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#") }), "\n")
}

// suiteOf reads the distribution's code name.
func suiteOf(release string) (string, error) {
	b, err := os.ReadFile(release)
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if name, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "", fmt.Errorf("find the distribution's code name: %s has none", release)
}
