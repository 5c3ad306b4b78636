package dtls

// window tells which records of the current epoch have been accepted: anti-replay as in RFC 6347 section 4.1.2.6, over 64
// records. Nothing below floor is accepted, whatever the window would say: it is how a restored association refuses what
// may have been accepted before.
type window struct {
	floor uint64 // the least sequence number that may be accepted
	next  uint64 // one behind the highest accepted
	seen  uint64 // bit i: next-1-i was accepted
}

// fresh reports whether a sequence number may be accepted.
func (w *window) fresh(sequence uint64) bool {
	if sequence < w.floor {
		return false
	}
	if sequence >= w.next {
		return true
	}
	behind := w.next - 1 - sequence
	return behind < 64 && w.seen&(1<<behind) == 0
}

// accept marks an authenticated record, and reports whether it is the newest so far.
func (w *window) accept(sequence uint64) (newest bool) {
	if sequence < w.next {
		w.seen |= 1 << (w.next - 1 - sequence)
		return false
	}
	if ahead := sequence - w.next + 1; ahead < 64 {
		w.seen = w.seen<<ahead | 1
	} else {
		w.seen = 1
	}
	w.next = sequence + 1
	return true
}
