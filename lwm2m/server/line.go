package server

// line is devices that wait for a worker: first come, first served. A device is in one line at most and can leave it from anywhere, so
// that those that are gone hold no place. Lines are guarded by the lock of work.
type line struct {
	first, last *device
	length      int
	unasked     *device // the first that was not asked in this round where it is; see newcomer.go
}

// standing is a device's place in a line, guarded by the lock of work.
type standing struct {
	line          *line
	ahead, behind *device
}

func (l *line) push(d *device) {
	d.standing = standing{line: l, ahead: l.last}
	if l.last != nil {
		l.last.standing.behind = d
	} else {
		l.first = d
	}
	l.last = d
	l.length++
	if l.unasked == nil {
		l.unasked = d
	}
}

// leave takes a device out of the line that it stands in, and returns that, nil if there is none.
func (d *device) leave() *line {
	s := d.standing
	l := s.line
	if l == nil {
		return nil
	}
	if s.ahead != nil {
		s.ahead.standing.behind = s.behind
	} else {
		l.first = s.behind
	}
	if s.behind != nil {
		s.behind.standing.ahead = s.ahead
	} else {
		l.last = s.ahead
	}
	if l.unasked == d {
		l.unasked = s.behind
	}
	l.length--
	d.standing = standing{}
	return l
}
