//go:build linux

package kernel

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Modules finds loadable modules of the kernel and all that they depend on, each after its dependencies. A name that the
// kernel has built in, or does not have at all, is an error.
func (k *Kernel) Modules(names ...string) (files []File, err error) {
	found, err := k.moduleFiles()
	if err != nil {
		return nil, err
	}
	o := &loadOrder{found: found, seen: map[string]bool{}}
	for _, n := range names {
		if err := o.add(n); err != nil {
			return nil, fmt.Errorf("find module %s of kernel %s: %w", n, k.Release, err)
		}
	}
	return o.files, nil
}

// moduleFiles maps module names to files.
func (k *Kernel) moduleFiles() (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(k.dir, "lib/modules", k.Release), func(p string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(p), ".ko"); ok {
			found[moduleName(name)] = p
		}
		return err
	})
	return found, err
}

// moduleName makes the two spellings of a module's name one.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// loadOrder collects modules depth first.
type loadOrder struct {
	found map[string]string
	seen  map[string]bool
	files []File
}

func (o *loadOrder) add(name string) error {
	name = moduleName(name)
	if o.seen[name] {
		return nil
	}
	o.seen[name] = true
	file, ok := o.found[name]
	if !ok {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	image, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	depends, err := moduleDepends(image)
	if err != nil {
		return err
	}
	for _, d := range depends {
		if err := o.add(d); err != nil {
			return err
		}
	}
	o.files = append(o.files, File{Name: fmt.Sprintf("modules/%03d-%s.ko", len(o.files), name), Contents: image})
	return nil
}

// moduleDepends reads the field "depends" of a module's own description.
func moduleDepends(image []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
