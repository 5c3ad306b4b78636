package agents

import (
	"context"
	"sync"
)

type contextKey struct {
	policy, asset string
	schema        uint32
}

// memoryContexts keeps contexts until the process ends.
type memoryContexts struct {
	mu sync.Mutex
	m  map[contextKey][]byte
}

func newMemoryContexts() *memoryContexts {
	return &memoryContexts{m: make(map[contextKey][]byte)}
}

func (c *memoryContexts) Load(_ context.Context, policy, asset string, schema uint32) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.m[contextKey{policy, asset, schema}]
	return b, ok, nil
}

func (c *memoryContexts) Save(policy, asset string, schema uint32, state []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[contextKey{policy, asset, schema}] = state
}
