package ring

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config bounds a [Store]. The zero value of every field means its default.
type Config struct {
	// Window is how long samples are kept. Default 15 minutes.
	Window time.Duration
	// Lookback is how long the last sample of a series counts as its value now, for selections and
	// for PromQL. Default 5 minutes, at most Window.
	Lookback time.Duration
	// MaxAhead is how far a sample's time may lie in the future. Default 1 minute.
	MaxAhead time.Duration

	// MaxSeries bounds the number of series. Default 8192.
	MaxSeries int
	// MaxBytes bounds the encoded samples of all series together; when it is reached, the series
	// that holds most loses its oldest samples. Default 8 MiB.
	MaxBytes int64
	// MaxSelections bounds the selections that are open at a time. Default 4096.
	MaxSelections int
	// MaxLabels, MaxNameBytes and MaxValueBytes bound one series' labels. Defaults 32, 256 and 1024.
	MaxLabels, MaxNameBytes, MaxValueBytes int

	// QueryTimeout, QueryMaxSamples and QueryConcurrency bound PromQL. Defaults 2 s, 500,000 and 4.
	QueryTimeout     time.Duration
	QueryMaxSamples  int
	QueryConcurrency int

	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger receives what went wrong in the background; default none.
	Logger *slog.Logger
}

const samplesPerChunk = 120

func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 15*time.Minute)
	c.Lookback = cmp.Or(c.Lookback, min(5*time.Minute, c.Window))
	c.MaxAhead = cmp.Or(c.MaxAhead, time.Minute)
	c.MaxSeries = cmp.Or(c.MaxSeries, 8192)
	c.MaxBytes = cmp.Or(c.MaxBytes, 8<<20)
	c.MaxSelections = cmp.Or(c.MaxSelections, 4096)
	c.MaxLabels = cmp.Or(c.MaxLabels, 32)
	c.MaxNameBytes = cmp.Or(c.MaxNameBytes, 256)
	c.MaxValueBytes = cmp.Or(c.MaxValueBytes, 1024)
	c.QueryTimeout = cmp.Or(c.QueryTimeout, 2*time.Second)
	c.QueryMaxSamples = cmp.Or(c.QueryMaxSamples, 500_000)
	c.QueryConcurrency = cmp.Or(c.QueryConcurrency, 4)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every problem of c at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	return errors.Join(
		atLeast("window", c.Window, time.Second),
		atLeast("lookback", c.Lookback, time.Millisecond),
		atMost("lookback", c.Lookback, c.Window),
		atLeast("max ahead", c.MaxAhead, time.Millisecond),
		atLeast("max series", c.MaxSeries, 1),
		atLeast("max bytes", c.MaxBytes, 64<<10),
		atLeast("max selections", c.MaxSelections, 1),
		atLeast("max labels", c.MaxLabels, 1),
		atMost("max labels", c.MaxLabels, maxLabels),
		atLeast("max name bytes", c.MaxNameBytes, 16),
		atLeast("max value bytes", c.MaxValueBytes, 16),
		atLeast("query timeout", c.QueryTimeout, time.Millisecond),
		atLeast("query max samples", c.QueryMaxSamples, 1),
		atLeast("query concurrency", c.QueryConcurrency, 1),
	)
}

type bounded interface {
	~int | ~int64
}

func atLeast[T bounded](what string, got, least T) error {
	if got < least {
		return fmt.Errorf("ring: %s is %v, the least is %v", what, got, least)
	}
	return nil
}

func atMost[T bounded](what string, got, most T) error {
	if got > most {
		return fmt.Errorf("ring: %s is %v, the most is %v", what, got, most)
	}
	return nil
}
