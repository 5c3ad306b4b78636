package server

import (
	"slices"
	"strings"
	"sync"

	"github.com/edgehold/edgehold/lwm2m"
)

// linkSet is what a device has, as its registration says. It does not change, and devices that say the same share one.
type linkSet struct {
	document  string
	root      string // where the tree begins, without a slash at the end
	formats   formatSet
	instances []lwm2m.Path // of objects, and objects without instances, in order
	versions  []objectVersion
	users     int // guarded by linkSets.mu
}

type objectVersion struct {
	object  uint16
	version lwm2m.Version
}

// newLinkSet reads a registration's document.
func newLinkSet(document []byte, most int) (*linkSet, error) {
	links, err := lwm2m.ParseLinks(document)
	if err != nil {
		return nil, err
	}
	if len(links) > most {
		return nil, errTooManyLinks
	}
	root := links.Root()
	ls := &linkSet{document: string(document), root: strings.TrimSuffix(root.Target, "/")}
	if !validRoot(ls.root) {
		return nil, errBadRoot
	}
	if ct, ok := root.Param("ct"); ok {
		ls.formats = formatsNamed(ct)
	}
	for _, l := range links {
		ls.add(l)
	}
	slices.SortFunc(ls.instances, lwm2m.Path.Compare)
	ls.instances = slices.Clip(slices.Compact(ls.instances))
	return ls, nil
}

func (ls *linkSet) add(l lwm2m.Link) {
	p, ok := l.Path(ls.root)
	if !ok || p.Depth() == 0 || p.Depth() > 2 {
		return
	}
	ls.instances = append(ls.instances, p)
	if v := l.Version(); v != (lwm2m.Version{}) {
		ls.versions = append(ls.versions, objectVersion{p.Object(), v})
	}
}

// validRoot bounds what becomes a part of every request's path.
func validRoot(root string) bool {
	if len(root) > 64 || root != "" && root[0] != '/' || strings.Count(root, "/") > 4 {
		return false
	}
	return strings.IndexFunc(root, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

func (ls *linkSet) parse() lwm2m.Links {
	links, _ := lwm2m.ParseLinks([]byte(ls.document)) // it was read before
	return links
}

func (ls *linkSet) version(object uint16) lwm2m.Version {
	for _, v := range ls.versions {
		if v.object == object {
			return v.version
		}
	}
	return lwm2m.Version{}
}

// has reports whether a path's object or instance is there. A device that names an object alone may have instances of it.
func (ls *linkSet) has(p lwm2m.Path) bool {
	if p.Depth() == 0 {
		return true
	}
	at, found := slices.BinarySearchFunc(ls.instances, p.Truncate(2), lwm2m.Path.Compare)
	if found {
		return true
	}
	if p.Depth() == 1 {
		return at < len(ls.instances) && p.Contains(ls.instances[at])
	}
	return false
}

// linkSets keeps one linkSet for all devices that say the same.
type linkSets struct {
	most int // bytes of all of them

	mu    sync.Mutex
	sets  map[string]*linkSet // by document
	bytes int
}

// acquire returns the set of a document; its user gives it back by release.
func (l *linkSets) acquire(document []byte, most int) (*linkSet, error) {
	l.mu.Lock()
	if set := l.sets[string(document)]; set != nil {
		set.users++
		l.mu.Unlock()
		return set, nil
	}
	l.mu.Unlock()
	set, err := newLinkSet(document, most)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.sets[set.document]; other != nil {
		other.users++
		return other, nil
	}
	if l.bytes+set.size() > l.most {
		return nil, errManyLinks
	}
	l.sets[set.document] = set
	l.bytes += set.size()
	set.users++
	return set, nil
}

func (l *linkSets) release(set *linkSet) {
	if set == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if set.users--; set.users == 0 {
		delete(l.sets, set.document)
		l.bytes -= set.size()
	}
}

// size is about what the set takes in memory.
func (ls *linkSet) size() int {
	return 200 + len(ls.document) + 10*len(ls.instances) + 4*len(ls.versions)
}
