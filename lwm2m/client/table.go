package client

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/edgehold/edgehold/lwm2m"
)

// Bounds of a table that sets none.
const (
	defaultTableInstances = 16
	defaultTableRecords   = 256
	defaultTableBytes     = 16 << 10
)

// Table is an object that keeps what servers write: a list of instances with their values and no behaviour, or what Rules add to it.
// It is safe for use by several goroutines.
type Table struct {
	definition Definition
	rules      Rules

	mu       sync.Mutex
	tree     lwm2m.Tree // an instance stands in it as a record of its own, without value
	announce func(lwm2m.Path)
}

// Rules are what a Table does beyond keeping values. The zero value adds nothing and takes the bounds that fit a few instances.
type Rules struct {
	MaxInstances int
	MaxRecords   int
	MaxBytes     int // of strings and opaque values together

	// Check refuses an instance that would come to be; values are in order. It must not call the table.
	Check func(instance lwm2m.Path, values lwm2m.Tree) error
	// Execute runs an executable resource.
	Execute func(resource lwm2m.Path, args string) error
	// Changed is called after an instance has changed, come or gone, with no lock held.
	Changed func(instance lwm2m.Path)
	// Keep makes the content survive before a change counts; nil keeps nothing. The tree is Contents as it will be.
	Keep func(lwm2m.Tree) error
}

// NewTable makes an empty table.
func NewTable(d Definition, r Rules) *Table {
	if r.MaxInstances == 0 {
		r.MaxInstances = defaultTableInstances
	}
	if r.MaxRecords == 0 {
		r.MaxRecords = defaultTableRecords
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = defaultTableBytes
	}
	return &Table{definition: d, rules: r}
}

// Definition describes the object.
func (t *Table) Definition() *Definition { return &t.definition }

// Announce is how the engine wants to hear of changes.
func (t *Table) Announce(changed func(lwm2m.Path)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announce = changed
}

// Instances appends the ids of the instances.
func (t *Table) Instances(dst []uint16) []uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.tree {
		if r.Path.Depth() == 2 {
			dst = append(dst, r.Path.Instance())
		}
	}
	return dst
}

// Read appends the value of a resource.
func (t *Table) Read(dst lwm2m.Tree, resource lwm2m.Path) (lwm2m.Tree, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(dst, t.tree.Below(resource)...), nil
}

// Value returns what stands at a path, none if nothing does.
func (t *Table) Value(p lwm2m.Path) lwm2m.Value {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, _ := t.tree.Value(p)
	return v
}

// Contents returns a copy of everything, in order; an instance stands as a record without value before its resources.
func (t *Table) Contents() lwm2m.Tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.tree)
}

// Fill replaces everything, for a start with what was kept. It checks as for a server's write, but neither keeps nor announces.
func (t *Table) Fill(contents lwm2m.Tree) error {
	next := slices.Clone(contents)
	for _, r := range contents {
		if instance := r.Path.Truncate(2); r.Path.Depth() > 2 {
			next = append(next, lwm2m.Record{Path: instance})
		}
	}
	next.Sort()
	next = slices.CompactFunc(next, func(a, b lwm2m.Record) bool { return a.Path == b.Path })
	for instance, values := range next.Children(lwm2m.PathOf(t.definition.ID)) {
		if err := t.acceptable(next, instance, values); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tree = next
	return nil
}

// Set puts one value, as the device itself does it: no check of operations, Check and Keep apply.
func (t *Table) Set(p lwm2m.Path, v lwm2m.Value) error {
	return t.Write(p, lwm2m.Tree{{Path: p, Value: v}}, Update)
}

// Write changes an instance, a resource or a resource instance.
func (t *Table) Write(target lwm2m.Path, values lwm2m.Tree, mode WriteMode) error {
	return t.change(target.Truncate(2), func(tree lwm2m.Tree) lwm2m.Tree {
		if mode == Replace {
			tree = slices.DeleteFunc(tree, func(r lwm2m.Record) bool { return target.Contains(r.Path) && t.replaceable(r.Path) })
		}
		return merge(tree, values)
	})
}

// replaceable: a Write with Replace takes away what a server could write, never the instance or what only the device sets.
func (t *Table) replaceable(p lwm2m.Path) bool {
	r, found := t.definition.Resource(p.Resource())
	return p.Depth() > 2 && found && r.Can(Writable)
}

// Create makes an instance.
func (t *Table) Create(instance lwm2m.Path, values lwm2m.Tree) error {
	return t.change(instance, func(tree lwm2m.Tree) lwm2m.Tree {
		return merge(append(tree, lwm2m.Record{Path: instance}), values)
	})
}

// Delete removes an instance.
func (t *Table) Delete(instance lwm2m.Path) error {
	return t.change(instance, func(tree lwm2m.Tree) lwm2m.Tree {
		return slices.DeleteFunc(tree, func(r lwm2m.Record) bool { return instance.Contains(r.Path) })
	})
}

// Execute runs an executable resource by the rule for it.
func (t *Table) Execute(resource lwm2m.Path, args string) error {
	if t.rules.Execute == nil {
		return ErrNotAllowed
	}
	return t.rules.Execute(resource, args)
}

// change edits a copy, and puts it in place once it is acceptable and kept.
func (t *Table) change(instance lwm2m.Path, edit func(lwm2m.Tree) lwm2m.Tree) error {
	t.mu.Lock()
	next := edit(slices.Clone(t.tree))
	next.Sort()
	err := t.accept(next, instance)
	if err == nil {
		t.tree = next
	}
	announce := t.announce
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if t.rules.Changed != nil {
		t.rules.Changed(instance)
	}
	if announce != nil {
		announce(instance)
	}
	return nil
}

func (t *Table) accept(next lwm2m.Tree, instance lwm2m.Path) error {
	if values := next.Below(instance); len(values) > 0 {
		if err := t.acceptable(next, instance, values); err != nil {
			return err
		}
	}
	if t.rules.Keep == nil {
		return nil
	}
	if err := t.rules.Keep(next); err != nil {
		return errors.Join(ErrUnavailable, err)
	}
	return nil
}

func (t *Table) acceptable(next lwm2m.Tree, instance lwm2m.Path, values lwm2m.Tree) error {
	if err := t.bounded(next); err != nil {
		return err
	}
	for i := range t.definition.Resources {
		r := &t.definition.Resources[i]
		if r.Mandatory && r.Can(Writable) && len(values.Below(instance.Child(r.ID))) == 0 {
			return fmt.Errorf("%s lacks %s: %w", instance, r.Name, ErrBadRequest)
		}
	}
	if t.rules.Check == nil {
		return nil
	}
	return t.rules.Check(instance, values)
}

func (t *Table) bounded(next lwm2m.Tree) error {
	instances, bytes := 0, 0
	for _, r := range next {
		bytes += len(r.Value.Text())
		if r.Path.Depth() == 2 {
			instances++
		}
	}
	if instances > t.rules.MaxInstances || len(next)-instances > t.rules.MaxRecords || bytes > t.rules.MaxBytes {
		return fmt.Errorf("object %d with %d instances, %d values, %d bytes: %w", t.definition.ID, instances, len(next)-instances, bytes, ErrTooLarge)
	}
	return nil
}

// merge puts values into a tree, over those of the same path.
func merge(tree, values lwm2m.Tree) lwm2m.Tree {
	tree.Sort()
	for _, r := range values {
		if r.Value.IsNone() {
			continue
		}
		if i, found := slices.BinarySearchFunc(tree, r.Path, func(r lwm2m.Record, p lwm2m.Path) int { return r.Path.Compare(p) }); found {
			tree[i] = r
		} else {
			tree = slices.Insert(tree, i, r)
		}
	}
	return tree
}
