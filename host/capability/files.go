package capability

import (
	"os"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/wasmabi"
)

// Files is what capabilities of kind file grant, for an engine whose guests open files themselves. It grants what handles do:
// plain files that exist and that both lists name, and links lead nowhere else.
type Files struct{ ports []*filePort }

// NewFiles takes the requests of kind file from all of them.
func NewFiles(requests []wasmabi.CapabilityRequest, c Config) *Files {
	f := &Files{}
	for i := range requests {
		if requests[i].Kind == wasmabi.CapabilityFile {
			f.ports = append(f.ports, newFile(&requests[i], c))
		}
	}
	return f
}

// Open opens a file; most is how many bytes of it may be read or written.
func (f *Files) Open(name string, write bool) (file *os.File, most uint64, err error) {
	err = denied(verb(write)+" "+name, "the manifest does not ask for it")
	for _, p := range f.ports {
		if file, err = p.open(name, write); err == nil {
			return file, p.most, nil
		}
	}
	return nil, 0, err
}

// Entries returns the names in a folder that lead to a granted file, sorted; false if the folder leads to none.
func (f *Files) Entries(folder string) (names []string, ok bool) {
	for _, p := range f.ports {
		for _, pattern := range p.request.Paths {
			more, leads := p.entries(pattern, folder)
			names, ok = append(names, more...), ok || leads
		}
	}
	slices.Sort(names)
	return slices.Compact(names), ok
}

// entries returns what of a folder one pattern shows.
func (f *filePort) entries(pattern, folder string) ([]string, bool) {
	above := strings.Split(strings.Trim(folder, "/"), "/")
	if folder == "/" {
		above = nil
	}
	segments := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if len(above) >= len(segments) {
		return nil, false
	}
	for i, name := range above {
		if segments[i] != name && !matchPath(segments[i], name) {
			return nil, false
		}
	}
	next := segments[len(above)]
	tr, prefix, err := f.enter(pattern)
	if err != nil {
		return nil, false
	}
	defer tr.Close()
	if !strings.HasPrefix(folder+"/", prefix+"/") {
		return []string{next}, true // on the way to the tree, which is there
	}
	below := strings.Trim(strings.TrimPrefix(folder, prefix), "/")
	if below == "" {
		below = "."
	}
	if info, err := tr.Stat(below); err != nil || !info.IsDir() {
		return nil, false
	}
	found, err := step(tr, []string{below}, next)
	if err != nil {
		return nil, true
	}
	names := found[:0]
	for _, name := range found {
		if last := len(above)+1 == len(segments); last && !f.grants(prefix+"/"+name) {
			continue
		}
		names = append(names, name[strings.LastIndexByte(name, '/')+1:])
	}
	return names, true
}

// grants reports whether a file may be read, as far as both lists tell.
func (f *filePort) grants(name string) bool {
	_, err := f.pattern(name, false)
	return err == nil
}
