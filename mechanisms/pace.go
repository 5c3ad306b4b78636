package mechanisms

import "time"

// bucket is the token bucket of one conflict key, counted in uptime.
type bucket struct {
	tokens float64
	at     time.Duration
}

// pacer holds the buckets. A key's bucket starts full.
type pacer struct {
	buckets map[string]*bucket
}

// wait returns how long until the key has a token; 0 = now. It takes nothing.
func (p *pacer) wait(key string, pace Pace, now time.Duration) time.Duration {
	if pace.Every <= 0 {
		return 0
	}
	b := p.fill(key, pace, now)
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) * float64(pace.Every))
}

// take uses one token up; call it after wait has said 0.
func (p *pacer) take(key string, pace Pace, now time.Duration) {
	if pace.Every > 0 {
		p.fill(key, pace, now).tokens--
	}
}

func (p *pacer) fill(key string, pace Pace, now time.Duration) *bucket {
	burst := float64(max(pace.Burst, 1))
	b, ok := p.buckets[key]
	if !ok {
		if p.buckets == nil {
			p.buckets = map[string]*bucket{}
		}
		b = &bucket{tokens: burst, at: now}
		p.buckets[key] = b
	}
	b.tokens = min(burst, b.tokens+float64(now-b.at)/float64(pace.Every))
	b.at = now
	return b
}
