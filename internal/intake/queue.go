package intake

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/watch"
)

// smallCSV is the size in bytes up to which a drop counts as small.
const smallCSV = 8 << 20

// queue hands out jobs fairly: round robin over inboxes, in order within each. A job is identified
// by inbox and name and is queued or running at most once.
type queue[T any] struct {
	mu      sync.Mutex // guards all below
	byInbox map[string][]entry[T]
	order   []string // inboxes with waiting jobs, next first
	known   map[[2]string]bool
	signal  chan struct{} // holds one token while jobs may wait
}

type entry[T any] struct {
	name string
	job  T
}

func newQueue[T any]() *queue[T] {
	return &queue[T]{
		byInbox: map[string][]entry[T]{},
		known:   map[[2]string]bool{},
		signal:  make(chan struct{}, 1),
	}
}

// put adds a job unless one of that inbox and name is queued or running.
func (q *queue[T]) put(inbox, name string, job T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := [2]string{inbox, name}
	if q.known[key] {
		return
	}
	q.known[key] = true
	if len(q.byInbox[inbox]) == 0 {
		q.order = append(q.order, inbox)
	}
	q.byInbox[inbox] = append(q.byInbox[inbox], entry[T]{name, job})
	q.wake()
}

// take waits for the next job. After ctx has ended it returns no job, however many wait. The caller calls done when the job has ended.
func (q *queue[T]) take(ctx context.Context) (job T, done func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return job, nil, err
		}
		if job, done, ok := q.pop(); ok {
			return job, done, nil
		}
		select {
		case <-ctx.Done():
			return job, nil, ctx.Err()
		case <-q.signal:
		}
	}
}

func (q *queue[T]) pop() (job T, done func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return job, nil, false
	}
	inbox := q.order[0]
	q.order = q.order[1:]
	first := q.byInbox[inbox][0]
	if rest := q.byInbox[inbox][1:]; len(rest) > 0 {
		q.byInbox[inbox] = rest
		q.order = append(q.order, inbox)
	} else {
		delete(q.byInbox, inbox)
	}
	if len(q.order) > 0 {
		q.wake()
	}
	key := [2]string{inbox, first.name}
	return first.job, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, key)
	}, true
}

func (q *queue[T]) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// busy reports whether a job of that inbox and name is queued or running.
func (q *queue[T]) busy(inbox, name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known[[2]string{inbox, name}]
}

// workQueue is the queue of the drops, of rechecks and of control files. Small and large ones have separate
// workers, so that ten rows never wait behind ten million (docs/contract.md 12, promise 4).
type workQueue struct{ small, large *queue[task] }

// task is a worker's job for one name of an inbox.
type task func(ctx context.Context) error

func newWorkQueue() workQueue { return workQueue{newQueue[task](), newQueue[task]()} }

// put adds a job for a name that costs reading size bytes, unless one is queued or running.
func (w workQueue) put(inbox, name string, size int64, do task) {
	q := w.small
	if size > smallCSV {
		q = w.large
	}
	q.put(inbox, name, do)
}

// busy reports whether a job for a name is queued or running.
func (w workQueue) busy(inbox, name string) bool {
	return w.small.busy(inbox, name) || w.large.busy(inbox, name)
}

// start starts the workers in group. A worker ends after its job when ctx has ended. failed is called with
// the errors of jobs.
func (w workQueue) start(ctx context.Context, group *errgroup.Group, failed func(error)) {
	for _, q := range []*queue[task]{w.small, w.small, w.large} {
		group.Go(func() error {
			for {
				do, done, err := q.take(ctx)
				if err != nil {
					return err
				}
				err = do(ctx)
				done()
				if err != nil && ctx.Err() == nil {
					failed(err)
				}
			}
		})
	}
}

// packedWeight multiplies the size of a packed file in the choice of a queue.
const packedWeight = 10

// weight returns the bytes that reading a file costs.
func weight(name string, size int64) int64 {
	if watch.ParseName(name).Format != watch.FormatCSV {
		return packedWeight * size
	}
	return size
}
