package mqtt

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who is closed while it reads nothing, or a little now and then, has as long as anybody: a broker that ends waits for it.
func TestClosedWhileNothingIsRead(t *testing.T) {
	for name, pace := range map[string]time.Duration{"nothing": 0, "a little": closingTime * 3 / 4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := Limits{Stall: time.Hour}
				limits.defaults()
				ours, theirs := net.Pipe()
				o := newOutbox(ours, "", limits, new(atomic.Int64))
				done := make(chan struct{})
				go func() { o.run(); close(done) }()
				for range 8 {
					if _, err := o.Write(make([]byte, pieceBytes)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait() // the first piece is being written
				var reading sync.WaitGroup
				defer reading.Wait()
				if pace > 0 {
					reading.Go(func() {
						piece := make([]byte, pieceBytes)
						for time.Sleep(pace); ; time.Sleep(pace) {
							if _, err := theirs.Read(piece); err != nil {
								return
							}
						}
					})
				}
				start := time.Now()
				_ = o.Close()
				<-done
				if took := time.Since(start); took > closingTime {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
