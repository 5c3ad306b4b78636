package client

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	tests := []struct {
		name    string
		backoff backoff
		want    []time.Duration // the least wait of each attempt; at most half as much again
		ends    bool            // after the last of them
	}{
		{name: "ours doubles", want: []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second}},
		{
			name:    "server object, one sequence",
			backoff: backoff{retries: 3, first: time.Minute, sequenceDelay: time.Hour, sequences: 1},
			want:    []time.Duration{time.Minute, 2 * time.Minute, time.Hour}, ends: true,
		},
		{
			name:    "server object, two sequences",
			backoff: backoff{retries: 2, first: time.Minute, sequenceDelay: time.Hour, sequences: 2},
			want:    []time.Duration{time.Minute, time.Hour, time.Minute, time.Hour}, ends: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for i, least := range tt.want {
				wait, more := tt.backoff.next(random)
				if wait < least || wait > least*3/2 {
					t.Errorf("attempt %d waits %v, want %v to %v", i+1, wait, least, least*3/2)
				}
				if ended := i == len(tt.want)-1 && tt.ends; more == ended {
					t.Errorf("attempt %d: more %v, want %v", i+1, more, !ended)
				}
			}
		})
	}
}

func TestBackoffHasCeiling(t *testing.T) {
	var b backoff
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		if wait, more := b.next(random); !more || wait > lastRetry*3/2 {
			t.Fatalf("wait %v, more %v after %d attempts", wait, more, b.attempt)
		}
	}
}

func TestUpdateAfter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, lifetime := range []time.Duration{0, time.Second, 30 * time.Second, 5 * time.Minute, 24 * time.Hour} {
		for range 100 {
			after := updateAfter(lifetime, random)
			if lifetime > 0 && (after < lifetime/2 || after >= lifetime) {
				t.Fatalf("lifetime %v: update after %v", lifetime, after)
			}
			if lifetime > 10*maxTransmitWait && lifetime-after < maxTransmitWait {
				t.Fatalf("lifetime %v: update after %v leaves no time to retransmit", lifetime, after)
			}
		}
	}
}
