package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop makes numbered things and counts what became of them.
type shop struct{ made, destroyed atomic.Int64 }

func (s *shop) pool(limit int) *Pool[int64] {
	return New(limit,
		func(context.Context) (int64, error) { return s.made.Add(1), nil },
		func(int64) { s.destroyed.Add(1) })
}

func get(t *testing.T, p *Pool[int64]) int64 {
	t.Helper()
	v, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLastUsedIsLentFirst(t *testing.T) {
	var s shop
	p := s.pool(2)
	a, b := get(t, p), get(t, p)
	p.Put(a)
	p.Put(b)
	if got := get(t, p); got != b {
		t.Errorf("lent %d, want %d", got, b)
	}
	if s.made.Load() != 2 {
		t.Errorf("made %d, want 2", s.made.Load())
	}
}

func TestGetWaitsForPutAndForDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shop
		p := s.pool(1)
		v := get(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		got := make(chan int64)
		go func() { got <- get(t, p) }()
		synctest.Wait()
		p.Put(v)
		if w := <-got; w != v {
			t.Errorf("got %d, want %d", w, v)
		}
	})
}

func TestDiscardAndFailedCreateFreeTheirSlot(t *testing.T) {
	boom := errors.New("boom")
	fail := false
	p := New(1, func(context.Context) (int, error) {
		if fail {
			return 0, boom
		}
		return 1, nil
	}, func(int) {})
	v, _ := p.Get(t.Context())
	p.Discard(v)
	fail = true
	if _, err := p.Get(t.Context()); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	fail = false
	if _, err := p.Get(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseDrainsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shop
		p := s.pool(3)
		a, b := get(t, p), get(t, p)
		p.Put(a)
		closed := make(chan error)
		go func() { closed <- p.Close(t.Context()) }()
		synctest.Wait()
		if _, err := p.Get(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		p.Put(b)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if s.destroyed.Load() != 2 {
			t.Errorf("destroyed %d, want 2", s.destroyed.Load())
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shop
		p := s.pool(1)
		v := get(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		p.Put(v)
		if s.destroyed.Load() != 1 {
			t.Error("a thing that came back after Close was kept")
		}
	})
}

func TestTrimKeepsTheWarmest(t *testing.T) {
	var s shop
	p := s.pool(3)
	a, b, c := get(t, p), get(t, p), get(t, p)
	p.Put(a)
	p.Put(b)
	p.Put(c)
	p.Trim(1)
	if p.Idle() != 1 || get(t, p) != c {
		t.Error("the last used was not kept")
	}
}

func TestNeverMoreThanLimit(t *testing.T) {
	var s shop
	p := s.pool(4)
	var out, most atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for k := range 200 {
				v := get(t, p)
				if n := out.Add(1); n > most.Load() {
					most.Store(n)
				}
				out.Add(-1)
				if k%10 == 0 {
					p.Discard(v)
				} else {
					p.Put(v)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > 4 {
		t.Errorf("%d lent at once", most.Load())
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.made.Load() != s.destroyed.Load() {
		t.Errorf("made %d, destroyed %d", s.made.Load(), s.destroyed.Load())
	}
}
