package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestGroupCommit(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	errOdd := errors.New("odd")
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			err := d.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				if _, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES (?, '')`, fmt.Sprint(n)); err != nil {
					return err
				}
				if n%2 == 1 {
					return errOdd
				}
				return nil
			})
			if (n%2 == 1) != errors.Is(err, errOdd) {
				t.Errorf("%d: %v", n, err)
			}
		})
	}
	wg.Wait()
	var n int
	must(t, d.read.QueryRow(`SELECT count(*) FROM settings`).Scan(&n))
	if n != 100 {
		t.Errorf("%d rows, want those of the even ones", n)
	}
}

func TestUpdateGivesUpWaiting(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	d.group.turn <- struct{}{} // somebody writes, and takes long
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	ran := false
	err := d.Update(ctx, func(context.Context, *sql.Tx) error { ran = true; return nil })
	<-d.group.turn
	must(t, d.SetSetting(t.Context(), "a", "b"))
	if !errors.Is(err, context.DeadlineExceeded) || ran {
		t.Errorf("%v, ran: %v", err, ran)
	}
}

func TestLaterGoesWithTheNextTransaction(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	d.Later(func(ctx context.Context, tx *sql.Tx) error { return errors.New("this one fails alone") })
	d.Later(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES ('later', '1')`)
		return err
	})
	must(t, d.SetSetting(t.Context(), "now", "1"))
	if _, found, err := d.Setting(t.Context(), "later"); !found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestRunFlushes(t *testing.T) {
	d := open(t, t.TempDir(), Options{FlushEvery: time.Millisecond})
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	written := make(chan struct{})
	d.Later(func(context.Context, *sql.Tx) error { close(written); return nil })
	<-written
	cancel()
	wg.Wait()
}

func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			d, err := Open(b.Context(), b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := d.SetSetting(b.Context(), "key", "value"); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
