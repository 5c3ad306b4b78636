package firmware

import (
	"context"
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// How often and how far apart a pull that was cut off is tried again, before its result is "connection lost".
const (
	pullAttempts = 8
	pullDelay    = 2 * time.Second // doubled each time
)

// Run pulls and applies images until ctx is done, which it says.
func (u *Update) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-u.work:
		}
		u.mu.Lock()
		state, uri := u.record.State, u.record.URI
		u.mu.Unlock()
		switch {
		case state == Updating:
			u.update(ctx)
		case state == Downloading && uri != "":
			u.pull(ctx, uri)
		}
	}
}

// update has the image applied. That this returns at all means that the device goes on without a restart, or that nothing came of it; or that
// ctx is done, which leaves the state for whoever starts next.
func (u *Update) update(ctx context.Context) {
	err := u.config.Updater.Apply(ctx, u.stage.file)
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case errors.Is(err, ErrDeferred):
		err = u.move(Downloaded, Deferred)
	case err != nil:
		u.config.Logger.Error("firmware update failed", "error", err)
		err = errors.Join(u.move(Idle, Failed), u.stage.drop())
	default:
		err = errors.Join(u.move(Idle, Success), u.stage.drop())
	}
	if err != nil {
		u.config.Logger.Error("state of the firmware update is not kept", "error", err)
	}
}

// errOver ends a pull that is not wanted any more.
var errOver = errors.New("firmware is not wanted any more")

func (u *Update) pull(ctx context.Context, uri string) {
	pulling, stop := context.WithCancel(ctx)
	defer stop()
	u.mu.Lock()
	u.stop = stop
	u.mu.Unlock()
	var err error
	delay := pullDelay
	for range pullAttempts {
		if err = u.config.Fetcher.Fetch(pulling, uri, u.arrived(), u.sink(uri)); err == nil || pulling.Err() != nil || errors.Is(err, errOver) {
			return
		}
		u.config.Logger.Warn("firmware does not come", "uri", uri, "error", err)
		if !pause.For(pulling, delay) {
			return
		}
		delay *= 2
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.record.State == Downloading && u.record.URI == uri {
		_ = u.refuse(ConnectionLost, err)
	}
}

func (u *Update) arrived() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stage.length()
}

// sink takes what a pull brings, as long as it is wanted.
func (u *Update) sink(uri string) func(int64, []byte, bool) error {
	return func(offset int64, data []byte, last bool) error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.record.State != Downloading || u.record.URI != uri {
			return errOver
		}
		err := u.take(offset, data, 0, last)
		if err != nil && !errors.Is(err, client.ErrIncomplete) {
			return errors.Join(errOver, err)
		}
		return err
	}
}
