package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if !For(ctx, 7*time.Second) || time.Since(begun) != 7*time.Second {
			t.Errorf("it waited %s of 7 s", time.Since(begun))
		}
		if For(ctx, 7*time.Second) || time.Since(begun) != 10*time.Second {
			t.Errorf("it outlived its context: %s", time.Since(begun))
		}
		if For(ctx, 0) || !For(t.Context(), 0) {
			t.Error("no wait at all does not tell whether the context has ended")
		}
	})
}
