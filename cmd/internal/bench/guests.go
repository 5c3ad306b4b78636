package main

import (
	"context"
	"os"
	"slices"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// answerBytes is how much the echoing guests answer.
const answerBytes = 200

// echoGuest answers with the first 200 bytes of its request.
func echoGuest() []byte {
	return guestModule(nil, nil, asm(i32c(responseAt), i32c(requestAt), i32c(answerBytes), memoryCopy, i64c(answerBytes)))
}

const guestPackage = "github.com/edgehold/edgehold/cmd/internal/bench/guest"

// goPolicy returns the module of folder guest, without a manifest.
func goPolicy(flags ...string) ([]byte, error) { return pluginstest.Go(guestPackage, flags...) }

func guestEnvironment() []string {
	return append(slices.Clone(os.Environ()), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
}

// prepared is a module on a runtime of its own.
type prepared struct {
	*host.Module
	runtime *host.Runtime
	dir     string
}

// prepare makes a module ready the way the daemon does.
func prepare(ctx context.Context, module []byte, c host.Config) (*prepared, error) {
	dir, err := os.MkdirTemp("", "edgehold-bench")
	if err != nil {
		return nil, err
	}
	c.CacheDir = dir
	p := &prepared{dir: dir}
	if p.runtime, err = host.New(ctx, c); err == nil {
		p.Module, err = p.runtime.Prepare(ctx, module)
	}
	if err != nil {
		p.close(ctx)
		return nil, err
	}
	return p, nil
}

func (p *prepared) close(ctx context.Context) {
	if p.runtime != nil {
		_ = p.runtime.Close(ctx)
	}
	_ = os.RemoveAll(p.dir)
}

// prepareGo makes the Go policy ready.
func prepareGo(ctx context.Context, c host.Config) (*prepared, error) {
	module, err := goPolicy()
	if err != nil {
		return nil, err
	}
	return prepare(ctx, withManifest(module, "bench-go"), c)
}
