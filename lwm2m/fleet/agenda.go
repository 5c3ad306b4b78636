package fleet

// agenda is a heap of moments at which devices have something to do.
type agenda []moment

type moment struct {
	at     int64
	device int32
}

func (a *agenda) add(m moment) {
	*a = append(*a, m)
	heap := *a
	for i := len(heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if heap[parent].at <= heap[i].at {
			return
		}
		heap[parent], heap[i] = heap[i], heap[parent]
		i = parent
	}
}

// take removes the earliest moment.
func (a *agenda) take() moment {
	heap := *a
	first, last := heap[0], len(heap)-1
	heap[0] = heap[last]
	heap = heap[:last]
	*a = heap
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && heap[child+1].at < heap[child].at {
			child++
		}
		if heap[i].at <= heap[child].at {
			return first
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
