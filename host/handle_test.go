package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// handleFunc is a Handle made of a function.
type handleFunc func(ctx context.Context, op uint32, in, dst []byte) ([]byte, error)

func (f handleFunc) Call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	return f(ctx, op, in, dst)
}

// relay has the reference guest make one host call, and takes its answer apart.
func relay(t *testing.T, s *Session, handle, op, capacity uint32, in string) (status wasmabi.Status, length uint32, out string) {
	t.Helper()
	var request []byte
	for _, v := range []uint32{handle, op, capacity} {
		request = binary.LittleEndian.AppendUint32(request, v)
	}
	response := call(t, s, opHostCall, append(request, in...))
	packed := binary.LittleEndian.Uint64(response)
	return wasmabi.Status(uint32(packed)), uint32(packed >> 32), string(response[8:])
}

func TestHandles(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		m := prepare(t, newRuntime(t, c), reference(t))
		s := begin(t, m, SessionConfig{Handles: []Handle{
			handleFunc(func(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
				return fmt.Appendf(dst, "%d %s", op, in), nil
			}),
			handleFunc(func(context.Context, uint32, []byte, []byte) ([]byte, error) { return nil, ErrDenied }),
			handleFunc(func(context.Context, uint32, []byte, []byte) ([]byte, error) { return nil, ErrInvalid }),
			handleFunc(func(context.Context, uint32, []byte, []byte) ([]byte, error) { return nil, errors.New("on fire") }),
			handleFunc(func(context.Context, uint32, []byte, []byte) ([]byte, error) { return make([]byte, 1<<20), nil }),
		}})
		for _, test := range []struct {
			name   string
			handle uint32
			status wasmabi.Status
			out    string
		}{
			{"answered", 0, wasmabi.StatusOK, "7 hello"},
			{"denied", 1, wasmabi.StatusDenied, "not granted"},
			{"invalid", 2, wasmabi.StatusInvalid, "malformed request"},
			{"failed", 3, wasmabi.StatusHost, "on fire"},
			{"too large", 4, wasmabi.StatusTooLarge, ""},
			{"never granted", 5, wasmabi.StatusDenied, ""},
			{"far outside", 1<<32 - 1, wasmabi.StatusDenied, ""},
		} {
			status, _, out := relay(t, s, test.handle, 7, 100, "hello")
			if status != wasmabi.StatusOK && out != "" {
				var e wasmabi.Error
				if err := wasmabi.DecodeError([]byte(out), &e); err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
				out = e.Message
			}
			if status != test.status || out != test.out {
				t.Errorf("%s: got %s %q, want %s %q", test.name, status, out, test.status, test.out)
			}
		}
	})
}

func TestResultThatDoesNotFitIsKept(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		m := prepare(t, newRuntime(t, c), reference(t))
		effects := 0
		count := handleFunc(func(_ context.Context, _ uint32, _, dst []byte) ([]byte, error) {
			effects++
			return append(dst, bytes.Repeat([]byte{'0' + byte(effects)}, 20)...), nil
		})
		s := begin(t, m, SessionConfig{Handles: []Handle{count}})
		status, length, _ := relay(t, s, 0, 1, 10, "in")
		if status != wasmabi.StatusMore || length != 20 {
			t.Fatalf("got %s, %d bytes", status, length)
		}
		status, _, out := relay(t, s, 0, 1, length, "in")
		if status != wasmabi.StatusOK || out != "11111111111111111111" || effects != 1 {
			t.Errorf("asked again: %s %q after %d effects", status, out, effects)
		}
		relay(t, s, 0, 1, 10, "in")
		relay(t, s, 0, 2, 20, "other") // drops what was kept
		if _, _, out := relay(t, s, 0, 1, 20, "in"); out != "44444444444444444444" {
			t.Errorf("a result that was given up came back: %q", out)
		}
	})
}

func TestHandleSeesTheDeadlineAndTheCallersValues(t *testing.T) {
	type key struct{}
	m := prepare(t, newRuntime(t, Config{CacheDir: testCache(t)}), reference(t))
	var deadline time.Time
	var value any
	s := begin(t, m, SessionConfig{Handles: []Handle{
		handleFunc(func(ctx context.Context, _ uint32, _, dst []byte) ([]byte, error) {
			deadline, _ = ctx.Deadline()
			value = ctx.Value(key{})
			return dst, nil
		}),
	}})
	ctx := context.WithValue(t.Context(), key{}, "trace")
	if _, err := s.Call(ctx, opHostCall, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(deadline); left <= 0 || left > m.Limits().Deadline {
		t.Errorf("the handle has %v left of %v", left, m.Limits().Deadline)
	}
	if value != "trace" {
		t.Errorf("the caller's value is %v", value)
	}
}

func TestHandleThatOutlivesTheDeadlineEndsTheCall(t *testing.T) {
	m := prepare(t, newRuntime(t, Config{CacheDir: testCache(t), Limits: Limits{Deadline: 20 * time.Millisecond}}), reference(t))
	_, err := once(t, m, SessionConfig{Handles: []Handle{
		handleFunc(func(ctx context.Context, _ uint32, _, dst []byte) ([]byte, error) {
			<-ctx.Done()
			return dst, ctx.Err()
		}),
	}}, opHostCall, make([]byte, 12))
	wantKind(t, err, Deadline)
}

func TestHandleThatPanicsEndsTheCallOnly(t *testing.T) {
	m := prepare(t, newRuntime(t, Config{CacheDir: testCache(t)}), reference(t))
	_, err := once(t, m, SessionConfig{Handles: []Handle{
		handleFunc(func(context.Context, uint32, []byte, []byte) ([]byte, error) { panic("bug") }),
	}}, opHostCall, make([]byte, 12))
	wantKind(t, err, Trap)
}
