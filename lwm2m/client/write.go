package client

import (
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
)

// checkWrite looks at every record of a Write before the object sees any: below the target, known, writable, of its kind and shape.
func checkWrite(d *Definition, target lwm2m.Path, values lwm2m.Tree) error {
	for _, v := range values {
		if v.Value.IsNone() && v.Path.Depth() < 3 {
			continue
		}
		if !target.Contains(v.Path) || v.Path.Depth() < 3 {
			return fmt.Errorf("write %s: %s is not in it: %w", target, v.Path, ErrBadRequest)
		}
		r, found := d.Resource(v.Path.Resource())
		if !found {
			return fmt.Errorf("write %s: %w", v.Path, ErrNotFound)
		}
		if !r.Can(Writable) {
			return fmt.Errorf("write %s: %w", v.Path, ErrNotAllowed)
		}
		if err := checkShape(r, v); err != nil {
			return err
		}
	}
	return nil
}

// checkShape: the kind of value, and resource instances exactly where there may be several. A multiple resource without any stands as a
// record without value.
func checkShape(r *Resource, v lwm2m.Record) error {
	empty := v.Value.IsNone() && r.Multiple && v.Path.Depth() == 3
	if empty || v.Value.Kind() == r.Kind && (v.Path.Depth() == 4) == r.Multiple {
		return nil
	}
	return fmt.Errorf("write %s: a %s does not fit %s: %w", v.Path, v.Value.Kind(), r.Name, ErrBadRequest)
}

// acceptable keeps of the values for a new instance what the object can have: every resource that it knows, those that servers only read
// too (LwM2M Core 6.3.6), for this is how they come to be. What it does not know is left out.
func acceptable(d *Definition, values lwm2m.Tree) (lwm2m.Tree, error) {
	kept := values[:0:0]
	for _, v := range values {
		r, found := d.Resource(v.Path.Resource())
		if v.Path.Depth() < 3 || !found {
			continue
		}
		if r.Can(Executable) {
			return nil, fmt.Errorf("create with %s, which is executed: %w", v.Path, ErrBadRequest)
		}
		if err := checkShape(r, v); err != nil {
			return nil, err
		}
		kept = append(kept, v)
	}
	return kept, nil
}

// write checks and does a Write.
func (t *tree) write(target lwm2m.Path, values lwm2m.Tree, mode WriteMode) error {
	o := t.object(target)
	if o == nil || !t.has(target.Truncate(2)) {
		return fmt.Errorf("write %s: %w", target, ErrNotFound)
	}
	d := o.Definition()
	if target.Depth() > 2 {
		r, found := d.Resource(target.Resource())
		switch {
		case !found, target.Depth() == 4 && !r.Multiple:
			return fmt.Errorf("write %s: %w", target, ErrNotFound)
		case !r.Can(Writable):
			return fmt.Errorf("write %s: %w", target, ErrNotAllowed)
		}
	}
	if err := checkWrite(d, target, values); err != nil {
		return err
	}
	if x, streams := o.(Streamer); streams && x.Streams(target) && len(values) == 1 {
		data := values[0].Value.Text()
		return x.WriteBlock(target, Block{Data: []byte(data), Last: true, Size: int64(len(data))})
	}
	w, writes := o.(Writer)
	if !writes {
		return fmt.Errorf("write %s: %w", target, ErrNotAllowed)
	}
	return w.Write(target, values, mode)
}

// stream checks and hands on a part of a Write.
func (t *tree) stream(p lwm2m.Path, b Block) error {
	o := t.object(p)
	if o == nil || !t.has(p.Truncate(2)) {
		return fmt.Errorf("write %s: %w", p, ErrNotFound)
	}
	r, found := o.Definition().Resource(p.Resource())
	switch {
	case !found:
		return fmt.Errorf("write %s: %w", p, ErrNotFound)
	case !r.Can(Writable):
		return fmt.Errorf("write %s: %w", p, ErrNotAllowed)
	}
	return o.(Streamer).WriteBlock(p, b)
}

// execute checks and does an Execute.
func (t *tree) execute(p lwm2m.Path, args string) error {
	o := t.object(p)
	if o == nil || !t.has(p.Truncate(2)) {
		return fmt.Errorf("execute %s: %w", p, ErrNotFound)
	}
	r, found := o.Definition().Resource(p.Resource())
	if !found {
		return fmt.Errorf("execute %s: %w", p, ErrNotFound)
	}
	x, executes := o.(Executor)
	if !executes || !r.Can(Executable) {
		return fmt.Errorf("execute %s: %w", p, ErrNotAllowed)
	}
	if len(args) > maxArguments {
		return fmt.Errorf("execute %s with %d bytes of arguments: %w", p, len(args), ErrTooLarge)
	}
	return x.Execute(p, args)
}

// create makes an instance; a path of an object takes the first free id.
func (t *tree) create(p lwm2m.Path, values lwm2m.Tree) (lwm2m.Path, error) {
	o := t.object(p)
	if o == nil {
		return p, fmt.Errorf("create %s: %w", p, ErrNotFound)
	}
	f, creates := o.(Factory)
	if !creates || !o.Definition().Multiple {
		return p, fmt.Errorf("create %s: %w", p, ErrNotAllowed)
	}
	if p.Depth() == 1 {
		free := p.Child(t.free(o))
		values = rebase(values, free)
		p = free
	} else if t.has(p) {
		return p, fmt.Errorf("create %s, which exists: %w", p, ErrBadRequest)
	}
	kept, err := acceptable(o.Definition(), values)
	if err != nil {
		return p, err
	}
	return p, f.Create(p, kept)
}

// free is the lowest id that no instance has.
func (t *tree) free(o Object) uint16 {
	var ids [16]uint16
	free := uint16(0)
	for _, id := range o.Instances(ids[:0]) {
		if id != free {
			break
		}
		free++
	}
	return free
}

// rebase moves the values of one instance to another.
func rebase(values lwm2m.Tree, instance lwm2m.Path) lwm2m.Tree {
	out := make(lwm2m.Tree, 0, len(values))
	for _, v := range values {
		p := instance
		for level := 2; level < v.Path.Depth(); level++ {
			p = p.Child(v.Path.ID(level))
		}
		v.Path = p
		out = append(out, v)
	}
	return out
}

// remove deletes an instance, or an instance of a multiple resource (1.2).
func (t *tree) remove(p lwm2m.Path) error {
	o := t.object(p)
	if o == nil || !t.has(p.Truncate(2)) {
		return fmt.Errorf("delete %s: %w", p, ErrNotFound)
	}
	if p.Depth() == 4 {
		return t.removeResourceInstance(o, p)
	}
	f, deletes := o.(Factory)
	if !deletes || !o.Definition().Multiple || p.Depth() != 2 {
		return fmt.Errorf("delete %s: %w", p, ErrNotAllowed)
	}
	return f.Delete(p)
}

func (t *tree) removeResourceInstance(o Object, p lwm2m.Path) error {
	resource := p.Parent()
	r, found := o.Definition().Resource(p.Resource())
	if !found || !r.Multiple {
		return fmt.Errorf("delete %s: %w", p, ErrNotFound)
	}
	values, err := o.Read(nil, resource)
	if err != nil {
		return fmt.Errorf("delete %s: %w", p, err)
	}
	at := index(values, p)
	if at == len(values) {
		return fmt.Errorf("delete %s: %w", p, ErrNotFound)
	}
	rest := append(values[:at:at], values[at+1:]...)
	return t.write(resource, rest, Replace)
}
