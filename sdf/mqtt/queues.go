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
	byClient  map[string]int
	total     int
	goroutine sync.WaitGroup
}

// line is a thing's requests: the first is at work.
type line struct{ tasks []*task }

func (q *queues) init(config ServeConfig) {
	q.config, q.lines, q.byClient = config, map[string]*line{}, map[string]int{}
}

// put has work called for k when it is its turn, or says why not.
func (q *queues) put(k *task, work func(*task)) (why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[k.Thing]
	switch {
	case q.total >= q.config.MaxRequests:
		return fmt.Sprintf("%d requests are at work or wait", q.total)
	case q.byClient[k.client] >= q.config.MaxPerClient:
		return fmt.Sprintf("%d requests of this client are at work or wait", q.byClient[k.client])
	case l != nil && len(l.tasks) >= q.config.MaxPerThing:
		return fmt.Sprintf("%d requests for this device are at work or wait", len(l.tasks))
	}
	q.total++
	q.byClient[k.client]++
	if l != nil {
		l.tasks = append(l.tasks, k)
		return ""
	}
	l = &line{tasks: []*task{k}}
	q.lines[k.Thing] = l
	q.goroutine.Go(func() { q.drain(k, l, work) })
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
	q.total--
	if q.byClient[done.client]--; q.byClient[done.client] == 0 {
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
