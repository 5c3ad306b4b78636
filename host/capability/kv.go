package capability

import (
	"context"
	"errors"
	"strconv"

	"github.com/edgehold/edgehold/wasmabi"
)

// kv is a store of an adapter's own.
type kv struct {
	store Store
	most  uint64
}

func (k kv) call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	var item wasmabi.Item
	if err := wasmabi.DecodeItem(in, &item); err != nil {
		return dst, invalid("use kv", err)
	}
	what := "keep " + strconv.Quote(item.Key)
	if item.Key == "" {
		return dst, invalid(what, errors.New("the key is empty"))
	}
	switch op {
	case wasmabi.HandleKVGet:
		value, found, err := k.store.Get(ctx, item.Key)
		switch {
		case err != nil:
			return dst, failed(wasmabi.CodeFailed, what, "the store can't be read", err)
		case !found:
			return dst, failed(wasmabi.CodeNotFound, what, "there is no such key", nil)
		}
		return append(dst, value...), nil
	case wasmabi.HandleKVSet:
		err := k.store.Set(ctx, item.Key, item.Value, k.most)
		switch {
		case errors.Is(err, ErrStoreFull):
			return dst, limited(what, "the store holds %d bytes", k.most)
		case err != nil:
			return dst, failed(wasmabi.CodeFailed, what, "the store can't be written", err)
		}
		return dst, nil
	case wasmabi.HandleKVDelete:
		if err := k.store.Delete(ctx, item.Key); err != nil {
			return dst, failed(wasmabi.CodeFailed, what, "the store can't be written", err)
		}
		return dst, nil
	}
	return dst, unknownOp("kv", op)
}

func decimal(v uint32) string { return strconv.FormatUint(uint64(v), 10) }
