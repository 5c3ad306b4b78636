package client

import "time"

// Limits bound what servers can make a device hold. The zero value of each field takes the default behind it.
type Limits struct {
	Observations int           // for each server: 32
	Paths        int           // of one composite operation: 32
	Attributes   int           // paths with attributes, for each server: 64
	History      int           // values kept while they cannot be sent, all observations of a server together: 256
	Payload      int           // bytes of a request or an answer that is held whole: 16 KiB
	Records      int           // values of one request: 256
	Sampling     time.Duration // how often an observation looks at a Sampled resource that has no epmax: 10 s
}

func (l *Limits) fill() {
	orInt := func(v *int, standard int) {
		if *v <= 0 {
			*v = standard
		}
	}
	orInt(&l.Observations, 32)
	orInt(&l.Paths, 32)
	orInt(&l.Attributes, 64)
	orInt(&l.History, 256)
	orInt(&l.Payload, 16<<10)
	orInt(&l.Records, 256)
	if l.Sampling <= 0 {
		l.Sampling = 10 * time.Second
	}
}
