// Package model knows LwM2M objects: what OMA's XML files say of their resources, several versions of one object side by
// side. It holds no values and speaks to no device; a value's form is the business of codec.
package model

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
)

// Object is the definition of an object (Core 1.2 appendix D.1). It is not changed once it is in a registry.
type Object struct {
	ID           uint16
	Version      lwm2m.Version // zero if the file tells none, which means 1.0
	LwM2M        lwm2m.Version // the first version of the enabler that it needs; zero if the file tells none
	URN          string
	Name         string
	Description  string
	Description2 string     // what the file says after the resources
	Multiple     bool       // it may have several instances
	Mandatory    bool       // every device has it
	Resources    []Resource // by ID
}

// Resource is the definition of a resource.
type Resource struct {
	ID          uint16
	Name        string
	Operations  Operations
	Multiple    bool // it has resource instances
	Mandatory   bool
	Kind        lwm2m.Kind // none for an executable
	RangeText   string     // RangeEnumeration as the file has it
	Range       Range      // what could be made of it
	Unit        string
	Description string
	Enumeration []Choice // what the values mean, if the description tells; by value
}

// Operations are what a server may do with a resource.
type Operations uint8

// The operations. None of them means: not for an LwM2M Server, as the keys of Security.
const (
	Read Operations = 1 << iota
	Write
	Execute
)

// String returns "R", "RW", "E" or "", as OMA's files write it.
func (o Operations) String() string {
	var b []byte
	for i, letter := range []byte("RWE") {
		if o&(1<<i) != 0 {
			b = append(b, letter)
		}
	}
	return string(b)
}

// Choice is a value that has a name.
type Choice struct {
	Value int64
	Name  string
}

// Resource returns the definition of a resource of the object.
func (o *Object) Resource(id uint16) (*Resource, bool) {
	i, ok := slices.BinarySearchFunc(o.Resources, id, func(r Resource, id uint16) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil, false
	}
	return &o.Resources[i], true
}

// ResourceNamed returns the first resource of a name, as the file spells it.
func (o *Object) ResourceNamed(name string) (*Resource, bool) {
	for i := range o.Resources {
		if o.Resources[i].Name == name {
			return &o.Resources[i], true
		}
	}
	return nil, false
}

// URNOf returns the URN of an object: the range of its number decides on the middle part, and a version 1.0 is left out
// (Core 1.2 §7.2.1 and the classes of OMNA's registry).
func URNOf(id uint16, v lwm2m.Version) string {
	class := "x"
	switch {
	case id < 1024:
		class = "oma"
	case id >= 2048 && id <= 10240:
		class = "ext"
	}
	urn := "urn:oma:lwm2m:" + class + ":" + strconv.Itoa(int(id))
	if v.OrFirst() == lwm2m.V1_0 {
		return urn
	}
	return urn + ":" + v.String()
}

// ChoiceName returns the name of a value of an enumeration.
func (r *Resource) ChoiceName(value int64) (name string, ok bool) {
	for _, c := range r.Enumeration {
		if c.Value == value {
			return c.Name, true
		}
	}
	return "", false
}

// ChoiceValue returns the value of a name of an enumeration.
func (r *Resource) ChoiceValue(name string) (value int64, ok bool) {
	for _, c := range r.Enumeration {
		if c.Name == name {
			return c.Value, true
		}
	}
	return 0, false
}
