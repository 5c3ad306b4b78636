package guest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host/internal/image"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestLogKeepsWhatFitsAndJoinsPieces(t *testing.T) {
	var l logbook
	l.start(24)
	l.write(wasmabi.LevelWarn, []byte("pan"))
	l.write(wasmabi.LevelWarn, []byte("ic: x\ngo"))
	l.write(wasmabi.LevelWarn, []byte("routine\n"))
	l.add(wasmabi.LevelInfo, []byte("dropped from here"))
	want := []Line{{wasmabi.LevelWarn, "panic: x"}, {wasmabi.LevelWarn, "goroutine"}, {wasmabi.LevelInfo, "dropp"}}
	if diff := cmp.Diff(l.lines(), want); diff != "" {
		t.Error(diff)
	}
	if l.dropped != 12 {
		t.Errorf("%d bytes were dropped, want 12", l.dropped)
	}
	l.start(24)
	if lines := l.lines(); len(lines) != 0 {
		t.Errorf("a new call has the lines of the old one: %v", lines)
	}
}

func TestLogIsValidText(t *testing.T) {
	var l logbook
	l.start(100)
	l.add(wasmabi.LevelInfo, []byte("a\xff\xfeb\r\n\n"))
	if diff := cmp.Diff(l.lines(), []Line{{wasmabi.LevelInfo, "a?b"}}); diff != "" {
		t.Error(diff)
	}
}

func TestRandomnessIsTheSeeds(t *testing.T) {
	read := func(seed uint64, pieces ...int) []byte {
		var r rand.PCG
		r.Seed(seed, seed^golden)
		var out []byte
		for _, n := range pieces {
			b := make([]byte, n)
			fill(&r, b)
			out = append(out, b...)
		}
		return out
	}
	if !bytes.Equal(read(1, 8, 16), read(1, 8, 16)) || !bytes.Equal(read(1, 24), read(1, 8, 16)) {
		t.Error("one seed gave different bytes")
	}
	if bytes.Equal(read(1, 24), read(2, 24)) {
		t.Error("two seeds gave the same bytes")
	}
	if b := read(1, 13); bytes.Equal(b[8:], make([]byte, 5)) {
		t.Error("the last piece was not filled")
	}
}

func TestTraceOfAnError(t *testing.T) {
	const message = "wasm error: unreachable\nwasm stack trace:\n\tedgehold1.yield()\n\t.edgehold.refill()\n\t.main.work(i32) i32\n" +
		"\t... maybe followed by omitted frames\n\nGo runtime stack trace:\ngoroutine 1"
	cause, trace, _ := splitTrace(message)
	if cause != "unreachable" {
		t.Errorf("cause %q", cause)
	}
	if diff := cmp.Diff(trace, []string{"main.work(i32) i32", "... maybe followed by omitted frames"}); diff != "" {
		t.Error(diff)
	}
}

// plainGlobal is a global without a module.
type plainGlobal struct {
	api.MutableGlobal
	value uint64
}

func (g *plainGlobal) Get() uint64  { return g.value }
func (g *plainGlobal) Set(v uint64) { g.value = v }

// bare is an instance that has a memory, a clock and a log, and no module: enough for the functions that only use those.
func bare(t *testing.T) *scope {
	t.Helper()
	memory, err := image.NewCopied(make([]byte, 65536)).Memory(65536)
	if err != nil {
		t.Fatal(err)
	}
	memory.Reallocate(65536)
	i := &Instance{program: &Program{MemoryLimit: 16 << 20}, memory: memory}
	i.scope.Instance = i
	i.Enter(World{Time: time.Unix(100, 0), Seed: 1})
	i.log.start(1000)
	i.meter.fuel = &plainGlobal{}
	return &i.scope
}

func TestClocks(t *testing.T) {
	s := bare(t)
	read := func(id uint64) uint64 {
		if e := clockTimeGet(s, []uint64{id, 0, 8}); e != errnoSuccess {
			t.Fatalf("clock %d: errno %d", id, e)
		}
		return binary.LittleEndian.Uint64(s.bytes(8, 8))
	}
	a, b := read(clockMonotonic), read(clockMonotonic)
	if b <= a {
		t.Errorf("the monotonic clock stood still at %d", a)
	}
	if real := read(clockRealtime); real < uint64(100*time.Second) || real > uint64(100*time.Second+time.Millisecond) {
		t.Errorf("the wall clock says %d", real)
	}
	if e := clockTimeGet(s, []uint64{7, 0, 8}); e != errnoInval {
		t.Errorf("an unknown clock: errno %d", e)
	}
}

// subscription is one that waits for a clock.
func subscription(id, timeout uint64, absolute bool) []byte {
	b := make([]byte, subscriptionSize)
	binary.LittleEndian.PutUint64(b, 0xabc) // user data
	binary.LittleEndian.PutUint64(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], timeout)
	if absolute {
		b[40] = flagAbsolute
	}
	return b
}

func TestPollMovesTheClock(t *testing.T) {
	s := bare(t)
	in := append(subscription(clockMonotonic, uint64(time.Hour), false), subscription(clockRealtime, uint64(102*time.Second), true)...)
	copy(s.bytes(0, 96), in)
	if e := pollOneoff(s, []uint64{0, 200, 2, 400}); e != errnoSuccess {
		t.Fatalf("errno %d", e)
	}
	if n := word(s, 400); n != 1 {
		t.Errorf("%d events, want the one that is due first", n)
	}
	if s.clock.elapsed != int64(2*time.Second) {
		t.Errorf("the clock moved by %v", time.Duration(s.clock.elapsed))
	}
	if e := pollOneoff(s, []uint64{0, 200, 0, 400}); e != errnoInval {
		t.Errorf("no subscriptions: errno %d", e)
	}
}

func TestPollForWhatCanNotHappenEndsTheCall(t *testing.T) {
	defer func() {
		if f, ok := recover().(*Fault); !ok || f.Kind != KindTrap {
			t.Errorf("got %v", f)
		}
	}()
	s := bare(t)
	s.bytes(0, 48)[8] = 1 // a file descriptor to read from
	pollOneoff(s, []uint64{0, 200, 1, 400})
}

func TestWriteOnlyToStandardStreams(t *testing.T) {
	s := bare(t)
	copy(s.bytes(100, 5), "hello")
	binary.LittleEndian.PutUint32(s.bytes(0, 4), 100)
	binary.LittleEndian.PutUint32(s.bytes(4, 4), 5)
	for fd, want := range map[uint64]uint64{0: errnoBadf, 1: errnoSuccess, 2: errnoSuccess, 3: errnoBadf} {
		if got := fdWrite(s, []uint64{fd, 0, 1, 16}); got != want {
			t.Errorf("descriptor %d: errno %d, want %d", fd, got, want)
		}
	}
	if got := fdWrite(s, []uint64{1, 0, maxVectors + 1, 16}); got != errnoInval {
		t.Errorf("too many pieces: errno %d", got)
	}
	if lines := s.log.lines(); len(lines) != 2 || lines[0].Text != "hello" {
		t.Errorf("logged %v", lines)
	}
}

func TestEnvironment(t *testing.T) {
	s := bare(t)
	environSizesGet(s, []uint64{0, 4})
	if word(s, 0) != 1 {
		t.Fatalf("%d variables", word(s, 0))
	}
	environGet(s, []uint64{0, 100})
	text := string(s.bytes(uint64(word(s, 0)), uint64(word(s, 4))))
	if word(s, 0) != 100 || !strings.HasPrefix(text, "GOMEMLIMIT=12582912") {
		t.Errorf("%q at %d", text, word(s, 0))
	}
}

func word(s *scope, at uint64) uint32 { return binary.LittleEndian.Uint32(s.bytes(at, 4)) }
