package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Plugin is what carries out calls.
type Plugin interface {
	Exports() []string
	Warnings() []string
	Call(ctx context.Context, c Call) Answer
	Close(ctx context.Context) error
}

// Serve carries out one order and its calls until in ends. The program's main does nothing else.
func Serve(ctx context.Context, in io.Reader, out io.Writer, open func(context.Context, *Order) (Plugin, error)) error {
	from, to := newReader(in), json.NewEncoder(out)
	var order Order
	if err := from.read(&order); err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	p, err := open(ctx, &order)
	if err != nil {
		return to.Encode(Answer{Error: NewFailure(err)})
	}
	err = to.Encode(Answer{Exports: p.Exports(), Warnings: p.Warnings()})
	for err == nil {
		var c Call
		if err = from.read(&c); err == nil {
			err = to.Encode(p.Call(ctx, c))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, p.Close(ctx))
}
