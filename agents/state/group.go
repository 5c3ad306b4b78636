package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Op is a part of a transaction.
type Op func(ctx context.Context, tx *sql.Tx) error

// group is the group commit: whoever finds nobody writing writes for all that
// wait. It needs no goroutine, and under load the cost of synchronising the disk
// is shared by up to maxGroup callers.
type group struct {
	turn chan struct{} // holds one while somebody writes

	mu      sync.Mutex
	waiting []*job
	later   []Op
	dropped int
	chores  []chore
}

type chore struct {
	due func() bool
	op  Op
}

const (
	maxGroup  = 64
	maxLater  = 1024 // what waits is memory
	manyLater = 128  // flushed without waiting for the next tick
)

type job struct {
	op   Op
	err  error
	done chan struct{}
}

func newGroup() group { return group{turn: make(chan struct{}, 1)} }

// Update runs op in a transaction, perhaps together with others', and returns
// when it is durable. Each op is undone alone if it fails alone. It must not
// call Update.
func (d *DB) Update(ctx context.Context, op Op) error {
	j := &job{op: op, done: make(chan struct{})}
	g := &d.group
	g.mu.Lock()
	g.waiting = append(g.waiting, j)
	g.mu.Unlock()
	for {
		select {
		case <-j.done:
			return j.err
		case g.turn <- struct{}{}:
			d.commit(g.take())
			<-g.turn
		case <-ctx.Done():
			if g.withdraw(j) {
				return ctx.Err()
			}
			<-j.done // somebody is writing it
			return j.err
		}
	}
}

// Later runs op with the next transaction, at the latest FlushEvery from now if
// Run runs. A crash may lose it; so does an error, which is logged. When a
// thousand wait (the disk is full, say) the oldest are dropped.
func (d *DB) Later(op Op) {
	g := &d.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.later) >= maxLater {
		g.later = g.later[1:]
		g.dropped++
	}
	g.later = append(g.later, op)
	if len(g.later) >= manyLater {
		select {
		case d.many <- struct{}{}:
		default:
		}
	}
}

// Tend has op run with every flush for which due says so: what keeps tables in
// order and nobody waits for.
func (d *DB) Tend(due func() bool, op Op) {
	d.group.mu.Lock()
	defer d.group.mu.Unlock()
	d.group.chores = append(d.group.chores, chore{due, op})
}

// Flush makes durable what waits.
func (d *DB) Flush(ctx context.Context) error {
	d.group.mu.Lock()
	waiting := len(d.group.later) + len(d.waitingContexts())
	chores := d.group.chores
	d.group.mu.Unlock()
	due := slices.DeleteFunc(slices.Clone(chores), func(c chore) bool { return !c.due() })
	if waiting == 0 && len(due) == 0 {
		return nil
	}
	return d.explain("flush the state", d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, c := range due {
			if err := c.op(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (g *group) take() ([]*job, []Op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup)
	jobs := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	later := g.later
	g.later = nil
	return jobs, later
}

func (g *group) withdraw(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == j {
			g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// putBack returns ops that a failed transaction did not carry.
func (g *group) putBack(later []Op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.later = append(later, g.later...)
	if over := len(g.later) - maxLater; over > 0 {
		g.later = g.later[over:]
		g.dropped += over
	}
}

// commit runs a group in one transaction. What a caller gave up waiting for is
// written all the same, so nobody's cancellation undoes another's work.
func (d *DB) commit(jobs []*job, later []Op) {
	if len(jobs) == 0 && len(later) == 0 {
		return
	}
	err := d.transact(context.Background(), jobs, later)
	if err != nil {
		d.group.putBack(later)
	}
	for _, j := range jobs {
		if j.err == nil {
			j.err = err
		}
		close(j.done)
	}
}

func (d *DB) transact(ctx context.Context, jobs []*job, later []Op) error {
	saved := d.waitingContexts()
	if len(saved) > 0 {
		later = append(later[:len(later):len(later)], func(ctx context.Context, tx *sql.Tx) error {
			return d.writeContexts(ctx, tx, saved)
		})
	}
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, op := range later {
		if err := inSavepoint(ctx, tx, op); err != nil {
			if fatal(err) {
				return err
			}
			d.log.Error("a deferred write is lost", "error", err)
		}
	}
	for _, j := range jobs {
		j.err = inSavepoint(ctx, tx, j.op)
		if fatal(j.err) {
			return j.err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.written.Store(true)
	d.contextsWritten(saved)
	return nil
}

// errTransaction marks an error after which the whole transaction is void.
var errTransaction = errors.New("transaction is void")

func fatal(err error) bool { return errors.Is(err, errTransaction) }

// inSavepoint runs op so that its failure undoes nothing but itself.
func inSavepoint(ctx context.Context, tx *sql.Tx, op Op) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT op"); err != nil {
		return fmt.Errorf("%w: %w", errTransaction, err)
	}
	opErr := op(ctx, tx)
	end := "RELEASE op"
	if opErr != nil {
		end = "ROLLBACK TO op; RELEASE op"
	}
	if _, err := tx.ExecContext(ctx, end); err != nil {
		return fmt.Errorf("%w: %w", errTransaction, errors.Join(opErr, err))
	}
	return opErr
}

// View runs f on a read-only connection. It sees everything that Update returned
// for, and nothing that Later still keeps.
func (d *DB) View(ctx context.Context, f func(ctx context.Context, q *sql.DB) error) error {
	return f(ctx, d.read)
}
