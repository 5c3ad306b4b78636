package oma

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

// CodeModel is the code of an error about a definition that is no LwM2M object's.
const CodeModel = "oma.model"

// ToObject makes the definition of each object of a document that has the quality oma:id, at the top and in things; the references of the document have to be carried
// out. What stands beside LwM2M is left out.
func ToObject(d *sdf.Document) ([]*model.Object, error) {
	m, err := d.Model()
	if err != nil {
		return nil, err
	}
	var all []*model.Object
	var collect func(groups *sdf.Groups) error
	collect = func(groups *sdf.Groups) error {
		for name, object := range groups.Objects {
			if _, ours := object.Extra[qualityID]; !ours {
				continue
			}
			o, err := objectOf(name, object)
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		for _, thing := range groups.Things {
			if err := collect(&thing.Groups); err != nil {
				return err
			}
		}
		return nil
	}
	if err := collect(&m.Groups); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *model.Object) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Version.Compare(b.Version)) })
	return all, nil
}

func badModel(name, why string) error {
	return &sdf.Error{Attempt: "make an LwM2M object of " + strconv.Quote(name), Code: CodeModel, Why: why, Hint: "see the qualities oma:... of a model that edgehold made"}
}

func objectOf(name string, s *sdf.Object) (*model.Object, error) {
	id, ok := number(&s.Common, qualityID)
	if !ok {
		return nil, badModel(name, fmt.Sprintf("%s is no number from 0 to 65534", qualityID))
	}
	o := &model.Object{
		ID: id, URN: text(&s.Common, qualityURN), Name: s.LabelOr(name), Description: s.Description, Description2: text(&s.Common, qualityDescription2),
		Multiple: s.IsArray(), Mandatory: s.Extra[qualityMandatory] == true,
	}
	for _, v := range []struct {
		quality string
		version *lwm2m.Version
	}{{qualityVersion, &o.Version}, {qualityLwM2M, &o.LwM2M}} {
		if err := v.version.UnmarshalText([]byte(text(&s.Common, v.quality))); err != nil {
			return nil, badModel(name, err.Error())
		}
	}
	if err := addResources(o, s); err != nil {
		return nil, badModel(name, err.Error())
	}
	return o, nil
}

func addResources(o *model.Object, s *sdf.Object) error {
	for name, p := range s.Properties {
		r := resourceOf(&p.Data, name, isRequired(s, "sdfProperty", name, &p.Common))
		if p.IsReadable() {
			r.Operations |= model.Read
		}
		if p.IsWritable() {
			r.Operations |= model.Write
		}
		if err := add(o, r, &p.Common, name); err != nil {
			return err
		}
	}
	for name, q := range s.Data {
		if err := add(o, resourceOf(q, name, q.Extra[qualityMandatory] == true), &q.Common, name); err != nil {
			return err
		}
	}
	for name, a := range s.Actions {
		if err := add(o, executableOf(a, name, isRequired(s, "sdfAction", name, &a.Common)), &a.Common, name); err != nil {
			return err
		}
	}
	slices.SortFunc(o.Resources, func(a, b model.Resource) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(o.Resources); i++ {
		if o.Resources[i].ID == o.Resources[i-1].ID {
			return fmt.Errorf("two resources have the number %d", o.Resources[i].ID)
		}
	}
	return nil
}

func add(o *model.Object, r model.Resource, c *sdf.Common, name string) error {
	id, ok := number(c, qualityID)
	if !ok {
		return fmt.Errorf("%q lacks the number of its resource, %s", name, qualityID)
	}
	r.ID = id
	o.Resources = append(o.Resources, r)
	return nil
}

// isRequired reads sdfRequired in its three forms.
func isRequired(s *sdf.Object, group, name string, c *sdf.Common) bool {
	return slices.Contains(c.Required, any(true)) || slices.ContainsFunc(s.Required, func(item any) bool {
		reference, _ := item.(string)
		if !strings.Contains(reference, "#") {
			return reference == name
		}
		r, err := sdf.ParseReference(reference)
		return err == nil && len(r.Pointer) >= 2 && r.Pointer.Name() == name && r.Pointer[len(r.Pointer)-2] == group
	})
}

func resourceOf(q *sdf.Data, name string, mandatory bool) model.Resource {
	one := q
	multiple := q.Type == sdf.TypeArray
	if multiple && q.Items != nil {
		one = q.Items
	}
	r := model.Resource{
		Name: q.LabelOr(name), Multiple: multiple, Mandatory: mandatory, Kind: KindOf(q), Description: q.Description,
		RangeText: text(&q.Common, qualityRange), Unit: cmp.Or(q.Unit, text(&q.Common, qualityUnit)),
	}
	r.Range = model.ParseRange(r.Kind, r.RangeText)
	r.Enumeration = enumerationOf(one)
	return r
}

// enumerationOf reads the choices that name one value each.
func enumerationOf(q *sdf.Data) (choices []model.Choice) {
	for name, c := range q.Choice {
		var value int64
		switch v := c.Const.(type) {
		case int64:
			value = v
		case bool:
			if v {
				value = 1
			}
		default:
			continue
		}
		if name != strconv.FormatInt(value, 10) { // a plain number is of a range that is a list
			choices = append(choices, model.Choice{Value: value, Name: c.LabelOr(name)})
		}
	}
	slices.SortFunc(choices, func(a, b model.Choice) int { return cmp.Compare(a.Value, b.Value) })
	return choices
}

func executableOf(a *sdf.Action, name string, mandatory bool) model.Resource {
	r := model.Resource{
		Name: a.LabelOr(name), Operations: model.Execute, Multiple: a.Extra[qualityInstances] == true, Mandatory: mandatory,
		Description: a.Description, RangeText: text(&a.Common, qualityRange), Unit: text(&a.Common, qualityUnit),
	}
	for i, letter := range []string{"R", "W"} {
		if strings.Contains(text(&a.Common, qualityOperations), letter) {
			r.Operations |= model.Read << i
		}
	}
	for kind := lwm2m.KindString; kind <= lwm2m.KindCoreLink; kind++ {
		if text(&a.Common, qualityType) == kind.String() {
			r.Kind = kind
		}
	}
	r.Range = model.ParseRange(r.Kind, r.RangeText)
	return r
}
