package sdf

import "slices"

// role is what a map in a document is for. Names of quality and names that a person gave can't be told apart otherwise.
type role int

var roleNames = [...]string{"document", "sdfThing", "sdfObject", "sdfProperty", "sdfAction", "sdfEvent", "sdfData"}

func (r role) String() string { return roleNames[r] }

const (
	roleDocument role = iota
	roleThing
	roleObject
	roleProperty
	roleAction
	roleEvent
	roleData
)

// part is a quality that holds definitions.
type part struct {
	quality string
	role    role
	// named: the quality is a map from given names to definitions; otherwise it is one definition.
	named bool
}

var (
	affordances = []part{{"sdfProperty", roleProperty, true}, {"sdfAction", roleAction, true}, {"sdfEvent", roleEvent, true}, {"sdfData", roleData, true}}
	groups      = append([]part{{"sdfThing", roleThing, true}, {"sdfObject", roleObject, true}}, affordances...)
	dataParts   = []part{{"sdfChoice", roleData, true}, {"properties", roleData, true}, {"items", roleData, false}}
)

// parts is the structure of RFC 9880, appendix A, as far as definitions hold definitions.
var parts = [...][]part{
	roleDocument: groups,
	roleThing:    groups,
	roleObject:   affordances,
	roleProperty: dataParts,
	roleAction:   {{"sdfInputData", roleData, false}, {"sdfOutputData", roleData, false}, {"sdfData", roleData, true}},
	roleEvent:    {{"sdfOutputData", roleData, false}, {"sdfData", roleData, true}},
	roleData:     dataParts,
}

// definition is a set of qualities, and where it stands.
type definition struct {
	role      role
	at        Pointer
	qualities map[string]any
}

// name returns the given name, or that of the quality that holds it.
func (d definition) name() string { return d.at.Name() }

// each calls visit for the definitions that d holds directly.
func (d definition) each(visit func(definition)) {
	for _, p := range parts[d.role] {
		held, ok := d.qualities[p.quality].(map[string]any)
		switch {
		case !ok:
		case !p.named:
			visit(definition{p.role, d.at.Child(p.quality), held})
		default:
			for _, name := range sortedNames(held) {
				if qualities, ok := held[name].(map[string]any); ok {
					visit(definition{p.role, d.at.Child(p.quality, name), qualities})
				}
			}
		}
	}
}

// target is what a pointer leads to by the structure of documents alone.
type target int

const (
	targetUnknown    target = iota // it leaves the structure: into an extension
	targetGroup                    // the map of names that holds definitions
	targetDefinition               // one of the role
)

// lead follows p through the structure.
func lead(p Pointer) (role, target) {
	r := roleDocument
	for len(p) > 0 {
		i := slices.IndexFunc(parts[r], func(held part) bool { return held.quality == p[0] })
		switch {
		case i < 0:
			return r, targetUnknown
		case !parts[r][i].named:
			p = p[1:]
		case len(p) == 1:
			return r, targetGroup
		default:
			p = p[2:]
		}
		r = parts[r][i].role
	}
	return r, targetDefinition
}

// kind is the same of roles whose definitions can stand for each other: data may be based on a property, and the other way round.
func (r role) kind() role {
	if r == roleProperty {
		return roleData
	}
	return r
}

// walk calls visit for d and all below it, parents first.
func (d definition) walk(visit func(definition)) {
	visit(d)
	d.each(func(below definition) { below.walk(visit) })
}
