package apiserver

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgehold/edgehold/agents/api"
)

// watched says how a list is watched: which events concern it, what is there at first, and how one item is read.
type watched[T any] struct {
	resource api.Resource
	list     func(ctx context.Context, r *http.Request) ([]T, error)
	get      func(ctx context.Context, name string) (T, error)
	name     func(T) string
	// keep reports whether an item belongs to the list; nil keeps all.
	keep func(r *http.Request, item T) bool
}

// watchable is a middleware of a list operation. With ?watch=true it answers with a stream of changes in place of the
// list.
func watchable[T any](s *Server, spec watched[T]) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if !isTrue(ctx.Query("watch")) {
			next(ctx)
			return
		}
		r, w := humago.Unwrap(ctx)
		s.serveStream(w, r, 0, func(out *stream, reader *subscription) error {
			return watch(out, r, reader, spec)
		})
	}
}

func isTrue(value string) bool { return value == "true" || value == "1" }

func watch[T any](out *stream, r *http.Request, reader *subscription, spec watched[T]) error {
	items, err := spec.list(r.Context(), r)
	if err != nil {
		return out.send(0, "problem", &problemOf(err).Problem)
	}
	for _, item := range items {
		if err := out.send(0, "change", api.Change[T]{Type: api.ChangePresent, Name: spec.name(item), Item: &item}); err != nil {
			return err
		}
	}
	if err := out.send(0, "change", api.Change[T]{Type: api.ChangeListed}); err != nil {
		return err
	}
	return out.follow(r, reader, func(events []api.Event) error { return spec.deliver(out, r, events) })
}

// deliver reads each item that events name once, however many events there are.
func (spec watched[T]) deliver(out *stream, r *http.Request, events []api.Event) error {
	seen := map[string]bool{}
	for _, event := range events {
		if event.Resource != spec.resource || seen[event.Name] {
			continue
		}
		seen[event.Name] = true
		if err := spec.deliverOne(out, r, event); err != nil {
			return err
		}
	}
	return nil
}

func (spec watched[T]) deliverOne(out *stream, r *http.Request, event api.Event) error {
	item, err := spec.get(r.Context(), event.Name)
	if err != nil {
		p := problemOf(err)
		if p.Status == http.StatusNotFound {
			return out.send(event.Seq, "change", api.Change[T]{Type: api.ChangeGone, Name: event.Name})
		}
		return out.send(event.Seq, "problem", &p.Problem)
	}
	if spec.keep != nil && !spec.keep(r, item) {
		return nil
	}
	return out.send(event.Seq, "change", api.Change[T]{Type: api.ChangeChanged, Name: event.Name, Item: &item})
}
