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
	goroutine sync.WaitGroup
}

// share is how much of the room is taken.
type share struct{ tasks, bytes int }

func (s share) plus(tasks, bytes int) share { return share{s.tasks + tasks, s.bytes + bytes} }

// line is a thing's requests: the first is at work.
type line struct{ tasks []*task }

func (q *queues) init(config ServeConfig) {
	q.config, q.lines, q.byClient = config, map[string]*line{}, map[string]share{}
}

// put has work called for k when it is its turn, or says why not.
func (q *queues) put(k *task, work func(*task)) (why string) {
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

// drain works a line off, from k on, and ends with it.
func (q *queues) drain(k *task, l *line, work func(*task)) {
	for thing := k.Thing; k != nil; k = q.next(thing, l) {
		work(k)
	}
}

// next takes the task that was done out of its line and gives the one behind it, nil at the end.
func (q *queues) next(thing string, l *line) *task {
	q.mu.Lock()
	defer q.mu.Unlock()
	done := l.tasks[0]
	q.all = q.all.plus(-1, -done.bytes)
	if left := q.byClient[done.client].plus(-1, -done.bytes); left.tasks > 0 {
		q.byClient[done.client] = left
	} else {
		delete(q.byClient, done.client)
	}
	l.tasks[0] = nil
	if l.tasks = l.tasks[1:]; len(l.tasks) == 0 {
		delete(q.lines, thing)
		return nil
	}
	return l.tasks[0]
}

func (q *queues) wait() { q.goroutine.Wait() }
