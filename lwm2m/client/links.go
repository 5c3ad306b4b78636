package client

import (
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
)

// contentFormats are what this device reads and writes, best first; a server learns of them from the root link (LwM2M Core 6.2.1).
const contentFormats = "112 11544 110 60 11542"

// registration is the payload of a Register: the root with the formats, then each object with its version if it is not the first one, and
// its instances. Security and OSCORE are not told (LwM2M Core 6.2.1).
func (t *tree) registration() lwm2m.Links {
	links := lwm2m.Links{lwm2m.LinkTo(lwm2m.Path{}, "rt", "oma.lwm2m", "ct", contentFormats)}
	for _, o := range t.objects {
		if d := o.Definition(); d.ID != objectSecurity && d.ID != objectOSCORE {
			links = appendObject(links, o)
		}
	}
	return links
}

func appendObject(links lwm2m.Links, o Object) lwm2m.Links {
	var ids [16]uint16
	d := o.Definition()
	object := lwm2m.PathOf(d.ID)
	instances := o.Instances(ids[:0])
	if d.Version.OrFirst() != lwm2m.V1_0 || len(instances) == 0 {
		links = append(links, lwm2m.LinkTo(object, versionParams(d)...))
	}
	for _, id := range instances {
		links = append(links, lwm2m.LinkTo(object.Child(id)))
	}
	return links
}

func versionParams(d *Definition) []string {
	if d.Version.OrFirst() == lwm2m.V1_0 {
		return nil
	}
	return []string{"ver", d.Version.String()}
}

// discover answers a Discover: the path and what is below it, depth levels deep, each with the attributes that the server has attached
// there (LwM2M Core 1.2 §6.3.2). At the path itself a resource shows the inherited ones too.
func (t *tree) discover(p lwm2m.Path, depth int, as attributes, may permit) (lwm2m.Links, error) {
	d := discovery{tree: t, attributes: as, deepest: min(p.Depth()+depth, lwm2m.MaxDepth), may: may}
	o := t.object(p)
	switch {
	case o == nil, p.Depth() > 1 && !t.has(p.Truncate(2)):
		return nil, ErrNotFound
	case p.Object() == objectSecurity, p.Depth() > 1 && !may.allows(p.Truncate(2)):
		return nil, ErrUnauthorized
	case p.Depth() == 1:
		d.object(o, p)
	case p.Depth() == 2:
		d.instance(o, p)
	default:
		if !d.resource(o, p.Truncate(3), p) {
			return nil, ErrNotFound
		}
		d.inherit(p)
	}
	return d.links, nil
}

type discovery struct {
	tree       *tree
	attributes attributes
	deepest    int
	may        permit
	links      lwm2m.Links
}

func (d *discovery) add(p lwm2m.Path, set lwm2m.Attributes, params ...string) {
	if p.Depth() > d.deepest {
		return
	}
	link := lwm2m.LinkTo(p, params...)
	if set.Has != 0 {
		text := set.AppendParams([]byte(link.Params))
		if text[0] == ';' {
			text = text[1:]
		}
		link.Params = string(text)
	}
	d.links = append(d.links, link)
}

func (d *discovery) object(o Object, p lwm2m.Path) {
	d.add(p, d.attributes.at(p), versionParams(o.Definition())...)
	var ids [16]uint16
	for _, id := range o.Instances(ids[:0]) {
		if d.may.allows(p.Child(id)) {
			d.instance(o, p.Child(id))
		}
	}
}

func (d *discovery) instance(o Object, p lwm2m.Path) {
	d.add(p, d.attributes.at(p))
	if d.deepest < 3 {
		return
	}
	for i := range o.Definition().Resources {
		resource := p.Child(o.Definition().Resources[i].ID)
		d.resource(o, resource, resource)
	}
}

// resource adds a resource that is there, and its instances; with only a resource instance, that one.
func (d *discovery) resource(o Object, p, only lwm2m.Path) bool {
	r, found := o.Definition().Resource(p.Resource())
	if !found {
		return false
	}
	values, err := o.Read(nil, p)
	if r.Can(Readable) && (err != nil || len(values) == 0) {
		return false
	}
	if only.Depth() == 4 {
		if index(values, only) == len(values) {
			return false
		}
		d.add(only, d.attributes.at(only))
		return true
	}
	if !r.Multiple {
		d.add(p, d.attributes.at(p))
		return true
	}
	d.add(p, d.attributes.at(p), "dim", strconv.Itoa(len(values)))
	for _, v := range values {
		if v.Path.Depth() == 4 {
			d.add(v.Path, d.attributes.at(v.Path))
		}
	}
	return true
}

// inherit makes the first link, which is of the path asked for, show all that holds for it.
func (d *discovery) inherit(p lwm2m.Path) {
	rest := d.links[1:]
	dim, multiple := d.links[0].Param("dim")
	d.links = nil
	if multiple {
		d.add(p, d.attributes.effective(p), "dim", dim)
	} else {
		d.add(p, d.attributes.effective(p))
	}
	d.links = append(d.links, rest...)
}
