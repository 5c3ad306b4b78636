package lwm2m

import (
	"cmp"
	"strconv"
	"strings"
)

// MaxDepth is the number of levels of a path: object, object instance, resource, resource instance.
const MaxDepth = 4

// NoID is the identifier that names nothing: reserved at every level (Core 1.2 §7.2, MAX_ID).
const NoID = 65535

// Path names a node of a device's tree (Core 1.2 §7.3.1): "/3" an object, "/3/0" an instance, "/3/0/13" a resource,
// "/19/0/0/1" a resource instance. The zero Path is "/", the whole device. Paths are comparable and serve as map keys.
type Path struct {
	ids   [MaxDepth]uint16 // those past depth are zero, so that == compares paths
	depth uint8
}

// PathOf returns the path of up to four identifiers. More than four are a mistake in the program, and panic.
func PathOf(ids ...uint16) Path {
	if len(ids) > MaxDepth {
		panic("lwm2m: a path has no more than four levels")
	}
	p := Path{depth: uint8(len(ids))}
	copy(p.ids[:], ids)
	return p
}

// ParsePath reads "/3/0/13". It takes what String makes, a trailing slash, and a missing leading one; nothing else: no
// empty level, no sign, no leading zero, no identifier beyond 65534.
func ParsePath(s string) (Path, error) {
	p, ok := parsePath(s)
	if !ok {
		return Path{}, badPath(s)
	}
	return p, nil
}

// ParsePathBytes is ParsePath for the bytes of a message: nothing is allocated, a failure included.
func ParsePathBytes(b []byte) (p Path, ok bool) {
	const longest = MaxDepth*len("/65534") + len("/")
	if len(b) > longest {
		return Path{}, false
	}
	return parsePath(string(b)) // so short a string stays on the stack
}

// MustParsePath is ParsePath for paths that stand in the program.
func MustParsePath(s string) Path {
	p, err := ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func parsePath(s string) (p Path, ok bool) {
	i := 0
	if len(s) > 0 && s[0] == '/' {
		i++
	}
	for i < len(s) {
		id, n := parseID(s[i:])
		i += n
		if n == 0 || p.depth == MaxDepth {
			return Path{}, false
		}
		p.ids[p.depth] = id
		p.depth++
		if i == len(s) {
			break
		}
		if s[i] != '/' {
			return Path{}, false
		}
		i++
	}
	return p, true
}

// parseID reads the digits that s begins with; n is 0 if they are no identifier.
func parseID(s string) (id uint16, n int) {
	v := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		v = v*10 + int(s[n]-'0')
		n++
		if v >= NoID || n > 1 && s[0] == '0' {
			return 0, 0
		}
	}
	return uint16(v), n
}

// Depth is the number of levels: 0 the device, 1 an object, 2 an instance, 3 a resource, 4 a resource instance.
func (p Path) Depth() int { return int(p.depth) }

// Object returns the first identifier, 0 if there is none: ask Depth where that matters.
func (p Path) Object() uint16 { return p.ids[0] }

// Instance returns the identifier of the object instance, 0 if there is none.
func (p Path) Instance() uint16 { return p.ids[1] }

// Resource returns the identifier of the resource, 0 if there is none.
func (p Path) Resource() uint16 { return p.ids[2] }

// ResourceInstance returns the identifier of the resource instance, 0 if there is none.
func (p Path) ResourceInstance() uint16 { return p.ids[3] }

// ID returns the identifier at a level, which counts from 0 and is below Depth.
func (p Path) ID(level int) uint16 { return p.ids[:p.depth][level] }

// Last returns the deepest identifier; ok is false for the device itself.
func (p Path) Last() (id uint16, ok bool) {
	if p.depth == 0 {
		return 0, false
	}
	return p.ids[p.depth-1], true
}

// Child returns the path one level deeper. A resource instance has none: that panics, as an index out of range does.
func (p Path) Child(id uint16) Path {
	p.ids[p.depth] = id
	p.depth++
	return p
}

// Parent returns the path one level up; the device is its own parent.
func (p Path) Parent() Path {
	if p.depth == 0 {
		return p
	}
	return p.Truncate(int(p.depth) - 1)
}

// Truncate returns the first levels of the path, all of it if it has no more.
func (p Path) Truncate(levels int) Path {
	if levels >= int(p.depth) {
		return p
	}
	t := Path{depth: uint8(levels)}
	copy(t.ids[:levels], p.ids[:levels])
	return t
}

// Contains reports whether q is p or lies below it.
func (p Path) Contains(q Path) bool {
	return p.depth <= q.depth && p == q.Truncate(int(p.depth))
}

// Overlaps reports whether one of the two contains the other.
func (p Path) Overlaps(q Path) bool { return p.Contains(q) || q.Contains(p) }

// Compare orders paths as a tree is walked: a node before what is below it, siblings by identifier.
func (p Path) Compare(q Path) int {
	for i := range min(p.depth, q.depth) {
		if c := cmp.Compare(p.ids[i], q.ids[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(p.depth, q.depth)
}

// String returns "/3/0/13", and "/" for the device.
func (p Path) String() string {
	var b [1 + MaxDepth*6]byte
	return string(p.Append(b[:0]))
}

// Append appends what String returns.
func (p Path) Append(dst []byte) []byte {
	if p.depth == 0 {
		return append(dst, '/')
	}
	for _, id := range p.ids[:p.depth] {
		dst = append(dst, '/')
		dst = strconv.AppendUint(dst, uint64(id), 10)
	}
	return dst
}

// MarshalText is String, for configuration and JSON.
func (p Path) MarshalText() ([]byte, error) { return p.Append(nil), nil }

// UnmarshalText is ParsePath.
func (p *Path) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePath(string(text))
	return err
}

func badPath(s string) error {
	return &Error{
		Code: CodePath, What: "read the path " + quote(s),
		Why:  "a path is up to four numbers from 0 to 65534, such as /3/0/13",
		Hint: "write /object/instance/resource/instance, and leave out what you do not mean",
	}
}

// quote shows outside text in an error, cut where it is long.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
