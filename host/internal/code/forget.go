package code

import (
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

// Forget gives up the Wasm code of a module that has been compiled to machine code, which nothing reads again: 2 MB for a
// Go guest. The engine has no way to ask for that, so it is done behind its back, by field names of the version that
// go.mod pins. Where they don't fit, nothing is forgotten; a test notices.
func Forget(compiled wazero.CompiledModule) (functions int) {
	module, ok := field(reflect.ValueOf(compiled), "module")
	if !ok {
		return 0
	}
	section, ok := field(module, "CodeSection")
	if !ok || section.Kind() != reflect.Slice {
		return 0
	}
	for i := range section.Len() {
		body := section.Index(i).FieldByName("Body")
		if !body.IsValid() || body.Type() != reflect.TypeFor[[]byte]() {
			return functions
		}
		body.SetZero()
		functions++
	}
	return functions
}

// field returns a field of the struct that v points to, exported or not, such that it can be set.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	f := v.Elem().FieldByName(name)
	if !f.IsValid() {
		return reflect.Value{}, false
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), true
}
