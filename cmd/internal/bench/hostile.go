package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/host"
)

const (
	uploads = 20
)

// hostileUpload measures how long it takes to refuse a module that would keep the compiler busy for a minute and a half: one
// function that consists of branches.
func hostileUpload(ctx context.Context) (Measured, error) {
	r, err := host.New(ctx, host.Config{})
	if err != nil {
		return Measured{}, err
	}
	defer r.Close(ctx)
	var took []time.Duration
	for _, size := range []int{351 << 10, 200 << 10} { // the smaller one is within the bound for a function's size
		for range uploads {
			start := time.Now()
			_, err := r.Prepare(ctx, bomb(size))
			took = append(took, time.Since(start))
			if _, ok := errors.AsType[*host.Refusal](err); !ok {
				return Measured{}, fmt.Errorf("the module was not refused: %w", err)
			}
		}
	}
	return Measured{Ours: float64(quantile(took, 1)) / 1e6, Unit: "ms"}, nil
}

func bomb(size int) []byte {
	branch := asm(get(0), []byte{opBrIf, 0})
	return guestModule(nil, nil, asm([]byte{opBlock, noResult}, bytes.Repeat(branch, size/len(branch)), []byte{opEnd}, i64c(0)))
}
