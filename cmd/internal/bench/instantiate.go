package main

import (
	"context"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// instantiate compares making and giving up an instance of a Go guest.
func instantiate(ctx context.Context) (Measured, error) {
	return againstInstantiate(ctx, func(p *prepared) {
		p.Trim(0)
		s, err := p.Begin(ctx, host.SessionConfig{})
		must(err)
		s.Close()
	})
}

// freshEpisode compares a session, with one call, on an instance that is reset, with the same on a new one.
func freshEpisode(ctx context.Context) (Measured, error) {
	request := wasmabi.AppendObservation(nil, observation())
	return againstInstantiate(ctx, func(p *prepared) {
		s, err := p.Begin(ctx, host.SessionConfig{})
		must(err)
		_, err = s.Call(ctx, wasmabi.OpPlan, request)
		must(err)
		s.Close()
	})
}

func againstInstantiate(ctx context.Context, ours func(*prepared)) (Measured, error) {
	p, err := prepareGo(ctx, host.Config{})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	plain, err := goPolicy()
	if err != nil {
		return Measured{}, err
	}
	r, err := newRaw(ctx, plain)
	if err != nil {
		return Measured{}, err
	}
	defer r.close(ctx)
	return compare(func(n int) {
		for range n {
			ours(p)
		}
	}, func(n int) {
		for range n {
			must(r.instance.Close(ctx))
			must(r.instantiate(ctx))
		}
	}), nil
}
