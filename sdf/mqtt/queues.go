package mqtt

import (
	"fmt"
	"sync"
)

// queues are the lines in which requests wait, one for each thing that has any: no goroutine, no memory for one that has none.
type queues struct {
	config    ServeConfig
	mu        sync.Mutex
	lines     map[string]*line
	byClient  map[string]share
	all       share
	closed    bool // nothing is taken any more
	goroutine sync.WaitGroup
}

// share is how much of the room is taken.
type share struct{ tasks, bytes int }

func (s share) plus(tasks, bytes int) share { return share{s.tasks + tasks, s.bytes + bytes} }

// line is a thing's requests: the first is at work, until its answer goes out.
type line struct{ tasks []*task }

func (q *queues) init(config ServeConfig) {
	q.config, q.lines, q.byClient = config, map[string]*line{}, map[string]share{}
}

// put has work called for k when it is its turn, and then what work gives, or says why not.
func (q *queues) put(k *task, work func(*task) (answer func())) (why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[k.Thing]
	if why := q.full(k, l); why != "" {
		return why
	}
	q.all = q.all.plus(1, k.bytes)
	q.byClient[k.client] = q.byClient[k.client].plus(1, k.bytes)
	if l != nil {
		l.tasks = append(l.tasks, k)
		return ""
	}
	l = &line{tasks: []*task{k}}
	q.lines[k.Thing] = l
	q.goroutine.Go(func() { q.drain(k, l, work) })
	return ""
}

// full says why there is no room for k, if there is none. What is alone has room, however large it is.
func (q *queues) full(k *task, l *line) (why string) {
	mine := q.byClient[k.client]
	switch {
	case q.closed:
		return "the gateway ends"
	case q.all.tasks >= q.config.MaxRequests:
		return fmt.Sprintf("%d requests are at work or wait", q.all.tasks)
	case mine.tasks >= q.config.MaxPerClient:
		return fmt.Sprintf("%d requests of this client are at work or wait", mine.tasks)
	case l != nil && len(l.tasks) >= q.config.MaxPerThing:
		return fmt.Sprintf("%d requests for this device are at work or wait", len(l.tasks))
	case q.all.tasks > 0 && q.all.bytes+k.bytes > q.config.MaxBytes:
		return fmt.Sprintf("requests of %d bytes are at work or wait", q.all.bytes)
	case mine.tasks > 0 && mine.bytes+k.bytes > q.config.MaxBytes/4:
		return fmt.Sprintf("requests of %d bytes of this client are at work or wait", mine.bytes)
	}
	return ""
}

// drain works a line off, from k on, and ends with it. A task takes no room while its answer goes out: whoever has that may ask again.
func (q *queues) drain(k *task, l *line, work func(*task) (answer func())) {
	for thing := k.Thing; k != nil; k = q.next(thing, l) {
		answer := work(k)
		q.done(l)
		answer()
	}
}

// done takes the first task out of its line.
func (q *queues) done(l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := l.tasks[0]
	l.tasks[0] = nil
	l.tasks = l.tasks[1:]
	q.all = q.all.plus(-1, -k.bytes)
	if left := q.byClient[k.client].plus(-1, -k.bytes); left.tasks > 0 {
		q.byClient[k.client] = left
	} else {
		delete(q.byClient, k.client)
	}
}

// next gives the task whose turn it is now, nil at the end of the line.
func (q *queues) next(thing string, l *line) *task {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(l.tasks) == 0 {
		delete(q.lines, thing)
		return nil
	}
	return l.tasks[0]
}

// close takes nothing any more, and waits for what is at work. A bus may deliver for a moment after its subscription was cancelled.
func (q *queues) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.goroutine.Wait()
}
