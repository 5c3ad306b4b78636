package model

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
)

// Limits of a file from outside.
const (
	MaxFileBytes = 1 << 20 // the largest file of OMA's registry has a tenth of it
	MaxResources = 1024    // of one object
	MaxObjects   = 64      // in one file
)

// Parse reads a file in OMA's XML form (LWM2M.xsd and LWM2M-v1_1.xsd), at most MaxFileBytes long. No entity is resolved
// but XML's own five, so that a file cannot grow nor reach for another one.
func Parse(r io.Reader) ([]*Object, error) {
	limited := &io.LimitedReader{R: r, N: MaxFileBytes + 1}
	decoder := xml.NewDecoder(limited)
	var file xmlFile
	err := decoder.Decode(&file)
	switch {
	case limited.N <= 0:
		return nil, badFile(CodeTooLarge, "it is larger than "+strconv.Itoa(MaxFileBytes)+" bytes", nil)
	case err != nil:
		return nil, badFile(CodeFile, err.Error(), err)
	case len(file.Objects) == 0:
		return nil, badFile(CodeFile, "it defines no object", nil)
	case len(file.Objects) > MaxObjects:
		return nil, badFile(CodeTooLarge, "it defines more than "+strconv.Itoa(MaxObjects)+" objects", nil)
	}
	objects := make([]*Object, 0, len(file.Objects))
	for i := range file.Objects {
		o, err := file.Objects[i].object()
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

type xmlFile struct {
	XMLName xml.Name    `xml:"LWM2M"`
	Objects []xmlObject `xml:"Object"`
}

type xmlObject struct {
	Name         string    `xml:"Name"`
	Description1 string    `xml:"Description1"`
	ObjectID     string    `xml:"ObjectID"`
	URN          string    `xml:"ObjectURN"`
	LwM2M        string    `xml:"LWM2MVersion"`
	Version      string    `xml:"ObjectVersion"`
	Instances    string    `xml:"MultipleInstances"`
	Mandatory    string    `xml:"Mandatory"`
	Items        []xmlItem `xml:"Resources>Item"`
	Description2 string    `xml:"Description2"`
}

type xmlItem struct {
	ID          string `xml:"ID,attr"`
	Name        string `xml:"Name"`
	Operations  string `xml:"Operations"`
	Instances   string `xml:"MultipleInstances"`
	Mandatory   string `xml:"Mandatory"`
	Type        string `xml:"Type"`
	Range       string `xml:"RangeEnumeration"`
	Units       string `xml:"Units"`
	Description string `xml:"Description"`
}

func (x *xmlObject) object() (*Object, error) {
	p := fields{of: "object " + strings.TrimSpace(x.ObjectID)}
	o := &Object{
		ID: p.id("ObjectID", x.ObjectID), Name: p.name(x.Name), Description: clean(x.Description1), Description2: clean(x.Description2),
		URN: clean(x.URN), LwM2M: p.version("LWM2MVersion", x.LwM2M), Version: p.version("ObjectVersion", x.Version),
		Multiple: p.either("MultipleInstances", x.Instances, "Multiple", "Single"), Mandatory: p.either("Mandatory", x.Mandatory, "Mandatory", "Optional"),
	}
	if len(x.Items) > MaxResources {
		p.fail("it has more than " + strconv.Itoa(MaxResources) + " resources")
	}
	if p.err != nil {
		return nil, p.err
	}
	for i := range x.Items {
		r, err := x.Items[i].resource(p.of)
		if err != nil {
			return nil, err
		}
		o.Resources = append(o.Resources, r)
	}
	return o, o.order()
}

// order sorts the resources and refuses one that is there twice.
func (o *Object) order() error {
	slices.SortFunc(o.Resources, func(a, b Resource) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(o.Resources); i++ {
		if o.Resources[i].ID == o.Resources[i-1].ID {
			return badFile(CodeFile, "object "+strconv.Itoa(int(o.ID))+" has resource "+strconv.Itoa(int(o.Resources[i].ID))+" twice", nil)
		}
	}
	return nil
}

func (x *xmlItem) resource(of string) (Resource, error) {
	p := fields{of: of + ", resource " + x.ID}
	r := Resource{
		ID: p.id("ID", x.ID), Name: p.name(x.Name), Operations: p.operations(x.Operations), Kind: p.kind(x.Type),
		Multiple: p.either("MultipleInstances", x.Instances, "Multiple", "Single"), Mandatory: p.either("Mandatory", x.Mandatory, "Mandatory", "Optional"),
		RangeText: clean(x.Range), Unit: clean(x.Units), Description: clean(x.Description),
	}
	if r.Kind == lwm2m.KindNone && r.Operations&(Read|Write) != 0 {
		p.fail("it is read or written and has no type")
	}
	r.Derive()
	return r, p.err
}

// Derive fills in what follows from the text: Range from RangeText, Enumeration from Description.
func (r *Resource) Derive() {
	r.Range = ParseRange(r.Kind, r.RangeText)
	r.Enumeration = ParseEnumeration(r.Kind, r.Description)
}

// clean trims a text and takes its carriage returns, which editors put there.
func clean(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// fields reads the columns of one entry and keeps the first mistake.
type fields struct {
	of  string
	err error
}

func (p *fields) fail(why string) {
	if p.err == nil {
		p.err = badFile(CodeFile, p.of+": "+why, nil)
	}
}

func (p *fields) id(column, text string) uint16 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || n == lwm2m.NoID {
		p.fail(column + " is " + strconv.Quote(text) + ", not a number from 0 to 65534")
	}
	return uint16(n)
}

func (p *fields) name(text string) string {
	if text = clean(text); text == "" {
		p.fail("it has no name")
	}
	return text
}

func (p *fields) version(column, text string) (v lwm2m.Version) {
	if text = strings.TrimSpace(text); text == "" {
		return v
	}
	v, err := lwm2m.ParseVersion(text)
	if err != nil {
		p.fail(column + ": " + err.Error())
	}
	return v
}

func (p *fields) either(column, text, yes, no string) bool {
	switch strings.TrimSpace(text) {
	case yes:
		return true
	case no, "":
		return false
	}
	p.fail(column + " is " + strconv.Quote(text) + ", neither " + yes + " nor " + no)
	return false
}

func (p *fields) operations(text string) (o Operations) {
	for _, letter := range strings.TrimSpace(text) {
		switch letter {
		case 'R':
			o |= Read
		case 'W':
			o |= Write
		case 'E':
			o |= Execute
		default:
			p.fail("Operations is " + strconv.Quote(text) + ", not one of R, W, RW, E")
		}
	}
	if o&Execute != 0 && o != Execute {
		p.fail("it is executed, and read or written as well")
	}
	return o
}

var kinds = map[string]lwm2m.Kind{
	"": lwm2m.KindNone, "string": lwm2m.KindString, "integer": lwm2m.KindInteger, "unsigned integer": lwm2m.KindUnsigned, "float": lwm2m.KindFloat,
	"boolean": lwm2m.KindBoolean, "opaque": lwm2m.KindOpaque, "time": lwm2m.KindTime, "objlnk": lwm2m.KindObjectLink, "corelnk": lwm2m.KindCoreLink,
}

func (p *fields) kind(text string) lwm2m.Kind {
	kind, ok := kinds[strings.ToLower(strings.TrimSpace(text))]
	if !ok {
		p.fail("Type is " + strconv.Quote(text) + ", which LwM2M does not know")
	}
	return kind
}

// Error is an error that a person may read.
type Error struct {
	Code string // stable, "model.*"
	Why  string
	Err  error
}

// Codes of this package's errors.
const (
	CodeFile     = "model.bad-file"  // not a definition in OMA's form
	CodeTooLarge = "model.too-large" // more than is taken
)

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return "read an object definition: " + e.Why }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string {
	return "a definition has the form of the files in OMA's registry (LWM2M.xsd); one object to a file is best"
}

func badFile(code, why string, err error) error {
	if errors.Is(err, io.EOF) {
		why = "it is empty"
	}
	return &Error{Code: code, Why: why, Err: err}
}
