package coap

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lossy is one end of a network in memory that loses, repeats, delays and so reorders what is sent over it.
type lossy struct {
	address  netip.AddrPort
	other    *lossy
	receiver Receiver
	serving  chan struct{}

	mu     sync.Mutex
	random *rand.Rand
	loss   float64
	flying sync.WaitGroup
	ended  bool
}

func lossyNetwork(seed uint64, loss float64) (a, b *lossy) {
	a = &lossy{address: device(1).Remote, serving: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 1)), loss: loss}
	b = &lossy{address: device(2).Remote, serving: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 2)), loss: loss}
	a.other, b.other = b, a
	return a, b
}

func (l *lossy) Name() string   { return "lossy" }
func (l *lossy) Traits() Traits { return Traits{} }

func (l *lossy) Serve(ctx context.Context, r Receiver) error {
	l.receiver = r
	close(l.serving)
	<-ctx.Done()
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.flying.Wait()
	return nil
}

func (l *lossy) Send(_ Peer, message []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := Peer{Transport: "lossy", Remote: l.address}
	for l.random.Float64() > l.loss && !l.ended {
		delay := time.Duration(l.random.IntN(300)) * time.Millisecond
		data := append([]byte(nil), message...)
		l.flying.Go(func() {
			time.Sleep(delay)
			l.other.receiver.Receive(from, data)
		})
		if l.random.Float64() > 0.2 {
			break // or else once more
		}
	}
	return nil
}

// patient gives no message up before it came through, within the time that the other side knows it again.
var patient = Reliability{AckTimeout: 700 * time.Millisecond, RandomFactor: 1.1, MaxRetransmit: 7}

// TestTransfersSurviveABadNetwork sends bodies both ways over a network that loses a tenth, repeats a fifth and reorders: each
// request is handled once, and whole.
func TestTransfersSurviveABadNetwork(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			a, b := lossyNetwork(seed, 0.1)
			handled := map[string]int{}
			var mu sync.Mutex
			start(t, Config{Transports: []Transport{b}, Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
				mu.Lock()
				handled[request.Path()]++
				mu.Unlock()
				if handled[request.Path()]%2 == 0 {
					time.Sleep(3 * time.Second) // beyond what goes with the acknowledgement
				}
				response.Code = Content
				response.Payload = append([]byte(request.Path()), request.Payload...)
			}), Limits: Limits{BlockSize: 256, AssemblyTime: time.Hour}, Reliability: patient})
			e := start(t, Config{Transports: []Transport{a}, Limits: Limits{BlockSize: 512}, Reliability: patient})
			<-a.serving
			<-b.serving
			var all sync.WaitGroup
			for n := range 8 {
				all.Go(func() {
					m := request(POST, fmt.Sprintf("/%d", n))
					m.Payload = sample(n * 400)
					answer, err := e.Do(t.Context(), Peer{Transport: "lossy", Remote: b.address}, m)
					if err != nil || answer.Code != Content || !bytes.Equal(answer.Payload, append([]byte(m.Path()), m.Payload...)) {
						t.Errorf("seed %d, request %d: %v, error %v", seed, n, answer, err)
					}
				})
			}
			all.Wait()
			for path, times := range handled {
				if times != 1 {
					t.Errorf("seed %d: %s was handled %d times", seed, path, times)
				}
			}
		})
	}
}
