package gateway

import "sync/atomic"

// Stats says what a gateway has done since it was made.
type Stats struct {
	Requests      uint64 // that came over MQTT
	Failed        uint64 // of them, answered with a code of class 4 or 5
	Notifications uint64 // published
	Announced     uint64
	Unregistered  uint64
	Refused       uint64 // device packages
	Missed        uint64 // events of the server that it was too slow for
	Dropped       uint64 // notifications and Sends of devices that say more than can be published
	Failures      uint64 // publications that did not succeed
}

type counters struct {
	requests, failed, notifications, announced, unregistered, refused, missed, dropped, failures atomic.Uint64
}

// Stats are the counts now.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	return Stats{
		Requests: c.requests.Load(), Failed: c.failed.Load(), Notifications: c.notifications.Load(), Announced: c.announced.Load(),
		Unregistered: c.unregistered.Load(), Refused: c.refused.Load(), Missed: c.missed.Load(), Dropped: c.dropped.Load(), Failures: c.failures.Load(),
	}
}
