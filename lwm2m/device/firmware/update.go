package firmware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Image is what a verified file holds.
type Image struct {
	Name, Version string
	Counter       uint64 // goes up with each image of the name; 0 throughout if who makes them does not count
}

// Updater knows images.
type Updater interface {
	// Verify says what the image in a file is; ErrIntegrity or ErrType if it cannot be taken.
	Verify(file string) (Image, error)
	// Apply makes the image run. It may end the process, or the power, and never return: the device finds out by Running, when it is
	// back, how it went. ErrDeferred asks for later.
	Apply(ctx context.Context, file string) error
	// Running is the version that runs now.
	Running() string
}

// What an Updater says of an image.
var (
	ErrIntegrity = errors.New("image is damaged or not trusted")
	ErrType      = errors.New("image is not for this device")
	ErrDeferred  = errors.New("not now")
)

// Fetcher gets images that a server names by a URI, block by block from an offset on. Data of a part is valid during the call of sink.
type Fetcher interface {
	Schemes() []string // "coap", "coaps"
	Fetch(ctx context.Context, uri string, offset int64, sink func(offset int64, data []byte, last bool) error) error
}

// DefaultMaxImage is the bound of an image that a Config does not set.
const DefaultMaxImage = 16 << 20

// Config is what an Update is made of.
type Config struct {
	Dir      string // holds the part of an image that has arrived
	Store    client.Store
	Updater  Updater
	Fetcher  Fetcher // nil: no images by URI
	MaxImage int64   // bytes; 0 is DefaultMaxImage
	Now      func() time.Time
	Logger   *slog.Logger
}

// Update is object 5. Its Run does what takes long.
type Update struct {
	config Config
	stage  stage

	mu       sync.Mutex
	record   record
	announce func(lwm2m.Path)
	stop     context.CancelFunc // of the pull that goes on; nil without one
	work     chan struct{}      // one slot: there is something to pull or to apply
}

// New takes up an update where the last process has left it.
func New(c Config) (*Update, error) {
	c.MaxImage = cmp.Or(c.MaxImage, DefaultMaxImage)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := load(c.Store)
	if err != nil {
		c.Logger.Error("firmware update begins anew", "error", err)
		r = record{Severity: 1}
	}
	u := &Update{config: c, stage: newStage(c.Dir), record: r, announce: func(lwm2m.Path) {}, work: make(chan struct{}, 1)}
	return u, u.resume()
}

// resume finds out what a loss of power has made of each state.
func (u *Update) resume() error {
	switch r := u.record; r.State {
	case Idle:
		return u.stage.drop()
	case Downloaded:
		image, err := u.config.Updater.Verify(u.stage.file)
		if err == nil {
			err = r.admits(image)
		}
		if err != nil {
			return errors.Join(u.move(Idle, BadIntegrity), u.stage.drop())
		}
	case Updating:
		result := Failed
		if r.Version != "" && u.config.Updater.Running() == r.Version {
			result = Success
		}
		return errors.Join(u.move(Idle, result), u.stage.drop())
	}
	u.wake() // a pull goes on; a push waits for its sender
	return nil
}

func (u *Update) wake() {
	select {
	case u.work <- struct{}{}:
	default:
	}
}

// WriteBlock takes a part of an image that a server pushes.
func (u *Update) WriteBlock(p lwm2m.Path, b client.Block) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.record
	switch {
	case b.Last && b.Offset == 0 && isNothing(b.Data):
		return u.reset()
	case r.State == Downloaded, r.State == Updating, r.State == Downloading && r.URI != "":
		return fmt.Errorf("write firmware in state %d: %w", r.State, client.ErrNotAllowed)
	case b.Offset == 0:
		if err := u.begin(""); err != nil {
			return err
		}
	case r.State == Idle:
		return fmt.Errorf("firmware at offset %d: nothing has arrived: %w", b.Offset, client.ErrIncomplete)
	}
	return u.take(b.Offset, b.Data, b.Size, b.Last)
}

// isNothing: an empty package, or one zero byte, means "forget it".
func isNothing(data []byte) bool { return len(data) == 0 || len(data) == 1 && data[0] == 0 }

// begin forgets what there was, for a new image.
func (u *Update) begin(uri string) error {
	next := u.record
	next.State, next.Result, next.URI = Downloading, Initial, uri
	next.Name, next.Version, next.Counter = "", "", 0
	if err := u.stage.drop(); err != nil {
		return err
	}
	return u.keep(next)
}

// reset goes back to Idle (an empty package or URI).
func (u *Update) reset() error {
	if u.record.State == Updating {
		return fmt.Errorf("reset while the firmware is updated: %w", client.ErrNotAllowed)
	}
	u.endPull()
	return errors.Join(u.move(Idle, Initial), u.stage.drop())
}

func (u *Update) endPull() {
	if u.stop != nil {
		u.stop()
	}
}

// take appends a part, pushed or pulled, and looks at the image once it is whole.
func (u *Update) take(offset int64, data []byte, size int64, last bool) error {
	if have := u.stage.length(); offset > have {
		return fmt.Errorf("firmware at offset %d, %d bytes have arrived: %w", offset, have, client.ErrIncomplete)
	}
	if most := u.config.MaxImage; size > most || offset+int64(len(data)) > most {
		return u.refuse(NoStorage, fmt.Errorf("firmware of more than %d bytes: %w", most, client.ErrTooLarge))
	}
	if err := u.stage.put(offset, data); err != nil {
		if isFull(err) {
			return u.refuse(NoStorage, fmt.Errorf("%w: %w", err, client.ErrTooLarge))
		}
		return err
	}
	if !last {
		return nil
	}
	return u.verify()
}

// refuse goes back to Idle with a result, and hands the cause on.
func (u *Update) refuse(r Result, cause error) error {
	u.config.Logger.Warn("firmware refused", "result", r, "error", cause)
	if err := errors.Join(u.move(Idle, r), u.stage.drop()); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// verify has the whole image looked at. The server learns of what it is worth by State and Update Result, not by the answer to its write,
// which did arrive.
func (u *Update) verify() error {
	image, err := u.config.Updater.Verify(u.stage.file)
	if err == nil {
		err = u.record.admits(image)
	}
	if err != nil {
		result := BadIntegrity
		if errors.Is(err, ErrType) {
			result = BadType
		}
		u.config.Logger.Warn("firmware refused", "result", result, "error", err)
		return errors.Join(u.move(Idle, result), u.stage.drop())
	}
	next := u.record
	next.State, next.Name, next.Version, next.Counter = Downloaded, image.Name, image.Version, image.Counter
	if err := u.keep(next); err != nil {
		return err
	}
	if next.Automatic {
		return u.apply()
	}
	return nil
}

// apply begins the update, which Run then does.
func (u *Update) apply() error {
	if u.record.State != Downloaded {
		return fmt.Errorf("update in state %d: %w", u.record.State, client.ErrNotAllowed)
	}
	next := u.record
	next.State, next.Result = Updating, Initial
	if err := u.keep(next); err != nil {
		return err
	}
	u.wake()
	return nil
}

// cancel gives an image up.
func (u *Update) cancel() error {
	if s := u.record.State; s != Downloading && s != Downloaded {
		return fmt.Errorf("cancel in state %d: %w", s, client.ErrNotAllowed)
	}
	u.endPull()
	return errors.Join(u.move(Idle, Cancelled), u.stage.drop())
}

// writeURI begins a pull; empty resets.
func (u *Update) writeURI(uri string) error {
	switch {
	case uri == "":
		return u.reset()
	case len(uri) > 255:
		return fmt.Errorf("firmware URI of %d bytes: %w", len(uri), client.ErrBadRequest)
	case u.record.State != Idle:
		return fmt.Errorf("write a firmware URI in state %d: %w", u.record.State, client.ErrNotAllowed)
	}
	if err := u.begin(uri); err != nil {
		return err
	}
	parsed, err := url.Parse(uri)
	switch {
	case err != nil || parsed.Host == "":
		return u.move(Idle, BadURI)
	case u.config.Fetcher == nil || !slices.Contains(u.config.Fetcher.Schemes(), parsed.Scheme):
		return u.move(Idle, BadProtocol)
	}
	u.wake()
	return nil
}
