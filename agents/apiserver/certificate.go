package apiserver

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificateFiles is a certificate that is read again when its file changed, so that rotating it needs no restart. If the new
// files do not fit together, which they may not while they are being replaced, the old certificate stays.
type certificateFiles struct {
	certFile, keyFile string

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed time.Time
}

func (f *certificateFiles) current() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.certFile)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.changed) {
		return f.loaded, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(f.certFile, f.keyFile); err == nil {
			f.loaded, f.changed = &pair, info.ModTime()
			return f.loaded, nil
		}
	}
	if f.loaded != nil {
		return f.loaded, nil
	}
	return nil, fmt.Errorf("load certificate: %w", err)
}
