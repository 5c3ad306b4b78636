package apiserver

import (
	"sync"

	"golang.org/x/time/rate"
)

const (
	failureBurst      = 5
	failureEverySec   = 2
	maxFailureOrigins = 4096
)

// failures slows down callers who present wrong tokens: five at once, then one every two seconds for each address.
type failures struct {
	mu      sync.Mutex
	origins map[string]*rate.Limiter
}

// allowed reports whether an address may try now.
func (f *failures) allowed(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	limiter := f.origins[address]
	return limiter == nil || limiter.Tokens() >= 1
}

// count notes a wrong token. When there are too many addresses to remember, those that have recovered are forgotten, and
// after them any.
func (f *failures) count(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.origins == nil {
		f.origins = map[string]*rate.Limiter{}
	}
	if f.origins[address] == nil {
		if len(f.origins) >= maxFailureOrigins {
			f.forget()
		}
		f.origins[address] = rate.NewLimiter(rate.Limit(1.0/failureEverySec), failureBurst)
	}
	f.origins[address].Allow()
}

func (f *failures) forget() {
	for address, limiter := range f.origins {
		if limiter.Tokens() >= failureBurst {
			delete(f.origins, address)
		}
	}
	for address := range f.origins {
		if len(f.origins) < maxFailureOrigins {
			return
		}
		delete(f.origins, address)
	}
}
