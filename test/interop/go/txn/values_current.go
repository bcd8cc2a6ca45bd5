//go:build !tidb85

package main

import (
	"context"

	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// get returns nil for a missing key.
func get(ctx context.Context, txn *transaction.KVTxn, key []byte) ([]byte, error) {
	entry, err := txn.Get(ctx, key)
	return found(entry.Value, err)
}

func batchGet(ctx context.Context, txn *transaction.KVTxn, keys [][]byte) (map[string][]byte, error) {
	entries, err := txn.GetSnapshot().BatchGet(ctx, keys)
	values := make(map[string][]byte, len(entries))
	for key, entry := range entries {
		values[key] = entry.Value
	}
	return values, err
}
