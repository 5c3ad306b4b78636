package kernel

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// oracle is the kernel module of the Extism project, as its SDK for Go carries it.
type oracle struct {
	t      testing.TB
	module api.Module
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "extism-runtime.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Instantiate(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{t, m}
}

func (o *oracle) call(name string, args ...uint64) uint64 {
	results, err := o.module.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil {
		o.t.Fatalf("%s%v: %v", name, args, err)
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

// pair is a block in both kernels.
type pair struct{ ours, theirs, length uint64 }

// duel runs one program on both.
type duel struct {
	*testing.T
	k      *Kernel
	o      *oracle
	blocks []pair
}

func (d *duel) same(what string, ours, theirs uint64) {
	d.Helper()
	if ours != theirs {
		d.Errorf("%s: %d, the kernel module has %d", what, ours, theirs)
	}
}

// offset returns the same place in both.
func (d *duel) offset(choice, at byte) (ours, theirs uint64) {
	if len(d.blocks) == 0 {
		return 0, 0
	}
	b := d.blocks[int(choice)%len(d.blocks)]
	within := uint64(at) % b.length
	return b.ours + within, b.theirs + within
}

// inside reports whether eight bytes from there belong to one block.
func (d *duel) inside(ours uint64) bool {
	for _, b := range d.blocks {
		if ours >= b.ours && ours+8 <= b.ours+b.length {
			return true
		}
	}
	return false
}

// step carries out one instruction of three bytes.
func (d *duel) step(op, a, b byte) {
	ours, theirs := d.offset(a, b)
	switch op % 12 {
	case 0:
		n := uint64(a)<<3 + uint64(b)
		p := pair{d.k.Alloc(n), d.o.call("alloc", n), n}
		if d.same("alloc is null", flag(p.ours == 0), flag(p.theirs == 0)); p.ours != 0 {
			d.clear(p)
			d.blocks = append(d.blocks, p)
		}
	case 1:
		d.free(a)
	case 2:
		d.same("length", d.k.Length(ours), d.o.call("length", theirs))
	case 3:
		d.k.StoreU8(ours, b)
		d.o.call("store_u8", theirs, uint64(b))
	case 4:
		d.same("load_u8", uint64(d.k.LoadU8(ours)), d.o.call("load_u8", theirs))
	case 5:
		if d.inside(ours) {
			d.k.StoreU64(ours, uint64(a)*0x0101010101010101)
			d.o.call("store_u64", theirs, uint64(a)*0x0101010101010101)
		}
	case 6:
		if d.inside(ours) {
			d.same("load_u64", d.k.LoadU64(ours), d.o.call("load_u64", theirs))
		}
	case 7:
		d.same("input_load_u8", uint64(d.k.InputU8(uint64(a))), d.o.call("input_load_u8", uint64(a)))
	case 8:
		d.same("input_load_u64", d.k.InputU64(uint64(a)), d.o.call("input_load_u64", uint64(a)))
	case 9:
		d.output(a)
	case 10:
		d.failure(a)
	case 11:
		d.same("input_length", d.k.InputLength(), d.o.call("input_length"))
	}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// clear gives a block the same contents in both: one that is used again has those of what was there.
func (d *duel) clear(p pair) {
	for i := range p.length {
		d.k.StoreU8(p.ours+i, 0)
		d.o.call("store_u8", p.theirs+i, 0)
	}
}

func (d *duel) free(choice byte) {
	if len(d.blocks) == 0 {
		return
	}
	i := int(choice) % len(d.blocks)
	p := d.blocks[i]
	d.k.Free(p.ours)
	d.o.call("free", p.theirs)
	d.same("length of a freed block", d.k.Length(p.ours), d.o.call("length", p.theirs))
	d.blocks = append(d.blocks[:i], d.blocks[i+1:]...)
}

func (d *duel) output(choice byte) {
	if len(d.blocks) == 0 {
		return
	}
	p := d.blocks[int(choice)%len(d.blocks)]
	d.k.SetOutput(p.ours, p.length)
	d.o.call("output_set", p.theirs, p.length)
	d.same("output_length", d.k.OutputLength(), d.o.call("output_length"))
	theirs, _ := d.o.module.Memory().Read(uint32(d.o.call("output_offset")), uint32(p.length))
	if string(d.k.Output()) != string(theirs) {
		d.Errorf("output %x, the kernel module has %x", d.k.Output(), theirs)
	}
}

func (d *duel) failure(choice byte) {
	if len(d.blocks) == 0 {
		d.k.SetError(0)
		d.o.call("error_set", 0)
	} else {
		p := d.blocks[int(choice)%len(d.blocks)]
		d.k.SetError(p.ours)
		d.o.call("error_set", p.theirs)
	}
	d.same("length of the error", d.k.Length(d.k.ErrorOffset()), d.o.call("length", d.o.call("error_get")))
}

// FuzzKernel runs programs that only use what they allocated on our kernel and on the Extism project's.
func FuzzKernel(f *testing.F) {
	o := newOracle(f)
	f.Add([]byte("hello world"), []byte{0, 1, 2, 3, 0, 9, 5, 1, 1, 6, 1, 1, 9, 0, 0, 1, 0, 0, 0, 0, 7, 2, 0, 0})
	f.Add([]byte{}, []byte{7, 0, 0, 8, 1, 0, 11, 0, 0, 10, 0, 0, 0, 0, 0})
	f.Add([]byte("12345678"), []byte{8, 0, 0, 8, 1, 0, 7, 7, 0, 7, 8, 0, 0, 200, 0, 1, 0, 0, 0, 190, 0, 0, 10, 0, 4, 0, 0, 10, 1, 0})
	f.Fuzz(func(t *testing.T, input, program []byte) {
		if len(input) > 1<<10 || len(program) > 1<<9 {
			t.Skip()
		}
		d := &duel{T: t, k: &Kernel{}, o: o}
		o.t = t
		d.k.Limit(1 << 22)
		if !d.k.Reset(input) {
			t.Fatal("the input does not fit")
		}
		o.call("reset")
		if len(input) > 0 {
			at := o.call("alloc", uint64(len(input)))
			o.module.Memory().Write(uint32(at), input)
			o.call("input_set", at, uint64(len(input)))
		}
		for ; len(program) >= 3; program = program[3:] {
			d.step(program[0], program[1], program[2])
		}
	})
}

// FuzzHostile calls the kernel with any numbers: it never panics, never exceeds its limit, and blocks never overlap.
func FuzzHostile(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, program []byte) {
		var k Kernel
		k.Limit(1 << 12)
		k.Reset([]byte("input"))
		number := func() (v uint64) {
			for range 9 {
				if len(program) == 0 {
					return v
				}
				c := program[0]
				program = program[1:]
				switch {
				case c < 0x40: // small numbers come often
					return v<<6 | uint64(c)
				case c == 0xff:
					return math.MaxUint64 - v
				}
				v = v<<7 | uint64(c&0x3f)
			}
			return v
		}
		for len(program) > 0 {
			op, a, b := number(), number(), number()
			switch op % 11 {
			case 0:
				k.Alloc(a)
			case 1:
				k.Free(a)
			case 2:
				k.StoreU8(a, uint8(b))
			case 3:
				k.StoreU64(a, b)
			case 4:
				k.LoadU64(a)
				k.LoadU8(a)
			case 5:
				k.SetInput(a, b)
			case 6:
				k.SetOutput(a, b)
			case 7:
				k.SetError(a)
			case 8:
				k.InputU8(a)
				k.InputU64(a)
			case 9:
				k.Block(a)
			case 10:
				k.Reset([]byte("other"))
			}
			k.Output()
			k.Failure()
			check(t, &k)
		}
	})
}

func check(t *testing.T, k *Kernel) {
	t.Helper()
	if k.Bytes() > 1<<12 {
		t.Fatalf("%d bytes", k.Bytes())
	}
	end := uint64(first)
	for _, b := range k.blocks {
		if b.offset < end || b.used > b.size || b.offset+b.size > k.Bytes() {
			t.Fatalf("block %+v after %d, of %d", b, end, k.Bytes())
		}
		end = b.offset + b.size
	}
}
