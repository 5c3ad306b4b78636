package kernel

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func small() *Kernel {
	k := &Kernel{}
	k.Limit(4096)
	return k
}

func TestInputOutputError(t *testing.T) {
	k := small()
	if !k.Reset([]byte("hello world")) {
		t.Fatal("the input does not fit")
	}
	if k.InputLength() != 11 || k.Length(k.InputOffset()) != 11 || k.InputU8(10) != 'd' || k.InputU64(0) != 0x6f77206f6c6c6568 {
		t.Errorf("input: %d bytes, %c, %x", k.InputLength(), k.InputU8(10), k.InputU64(0))
	}
	out := k.Alloc(3)
	for i, c := range "abc" {
		k.StoreU8(out+uint64(i), uint8(c))
	}
	k.SetOutput(out, 3)
	k.SetError(k.Write([]byte("sorry")))
	if string(k.Output()) != "abc" || string(k.Failure()) != "sorry" {
		t.Errorf("output %q, error %q", k.Output(), k.Failure())
	}
	k.SetError(0)
	if k.Failure() != nil {
		t.Errorf("the error was taken back, and is %q", k.Failure())
	}
}

// TestHostile uses addresses that nobody gave out.
func TestHostile(t *testing.T) {
	k := small()
	k.Reset([]byte("input"))
	block := k.Alloc(8)
	k.StoreU64(block, math.MaxUint64)
	end := k.Bytes()
	for _, offset := range []uint64{0, 1, first - 1, end, end - 7, end + 1, 4096, 1 << 31, 1 << 32, 1<<32 + block, math.MaxUint64, math.MaxUint64 - 6} {
		k.StoreU64(offset, 1)
		k.Free(offset)
		k.SetOutput(offset, 8)
		k.SetInput(offset, 8)
		if offset != 0 {
			k.SetError(offset)
		}
		if got := k.LoadU64(offset); got != 0 {
			t.Errorf("load of %d: %x", offset, got)
		}
		if k.Length(offset) != 0 || k.Block(offset) != nil {
			t.Errorf("%d is a block", offset)
		}
	}
	for _, n := range []uint64{end, 1 << 32, math.MaxUint64, math.MaxUint64 - block, math.MaxUint64 - block + 1} {
		k.SetOutput(block, n)
		k.SetInput(block, n)
	}
	if k.OutputLength() != 0 || k.InputLength() != 5 || k.LoadU64(block) != math.MaxUint64 {
		t.Errorf("output of %d, input of %d, block %x", k.OutputLength(), k.InputLength(), k.LoadU64(block))
	}
	if got := k.InputU64(math.MaxUint64 - 3); got != 0 {
		t.Errorf("the input wraps around: %x", got)
	}
	if k.InputU8(5) != 0 || k.InputU64(0) != 0 {
		t.Error("the input reads beyond its end")
	}
}

func TestRoom(t *testing.T) {
	k := small()
	if k.Alloc(4097) != 0 || !k.Refused() || k.Alloc(math.MaxUint64) != 0 {
		t.Error("more than the limit")
	}
	k.Reset(nil)
	n := 0
	for k.Alloc(1) != 0 {
		n++
	}
	if n == 0 || n > 4096/(overhead+1) || k.Bytes() > 4096 {
		t.Errorf("%d blocks in %d bytes", n, k.Bytes())
	}
	if k.Reset(make([]byte, 4096)) {
		t.Error("an input as long as the limit leaves no room for what describes it")
	}
}

func TestFreedBlocksAreUsedAgain(t *testing.T) {
	k := small()
	a, b := k.Alloc(100), k.Alloc(10)
	k.Free(a)
	k.Free(a)
	if k.Length(a) != 0 {
		t.Error("a freed block has a length")
	}
	if again := k.Alloc(90); again != a || k.Length(a) != 90 {
		t.Errorf("got %d of %d, freed was %d", again, k.Length(again), a)
	}
	if other := k.Alloc(90); other == a || other == b {
		t.Errorf("one block twice: %d", other)
	}
	k.Reset([]byte("in"))
	k.Free(k.InputOffset())
	if k.InputLength() != 0 {
		t.Error("a freed input has a length")
	}
}

func TestResetClears(t *testing.T) {
	k := small()
	k.Reset(bytes.Repeat([]byte{0xff}, 1000))
	k.Reset(nil)
	at := k.Alloc(1000)
	for i := range uint64(1000) {
		if k.LoadU8(at+i) != 0 {
			t.Fatalf("byte %d of the last call is still there", i)
		}
	}
}

func TestVars(t *testing.T) {
	var v Vars
	limit := 2*(entryBytes+1) + 10
	if !v.Set([]byte("a"), []byte("12345"), limit) || !v.Set([]byte("b"), []byte("12345"), limit) {
		t.Fatal("there is room")
	}
	if v.Set([]byte("a"), []byte("123456"), limit) || v.Set([]byte("c"), nil, limit) {
		t.Error("there is no room")
	}
	if got, _ := v.Get([]byte("a")); string(got) != "12345" {
		t.Errorf("a refused value replaced the old one: %q", got)
	}
	if !v.Set([]byte("a"), []byte("1"), limit) || v.Bytes() != limit-4 {
		t.Errorf("%d bytes", v.Bytes())
	}
	v.Delete([]byte("b"))
	v.Delete([]byte("b"))
	if got := strings.Join(v.Names(), " "); got != "a" || v.Bytes() != entryBytes+2 {
		t.Errorf("%s, %d bytes", got, v.Bytes())
	}
	v.Clear()
	if _, ok := v.Get([]byte("a")); ok || v.Bytes() != 0 {
		t.Error("not cleared")
	}
}
