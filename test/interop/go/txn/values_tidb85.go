//go:build tidb85

package main

import (
	"context"

	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// get returns nil for a missing key.
func get(ctx context.Context, txn *transaction.KVTxn, key []byte) ([]byte, error) {
	return found(txn.Get(ctx, key))
}

func batchGet(ctx context.Context, txn *transaction.KVTxn, keys [][]byte) (map[string][]byte, error) {
	return txn.GetSnapshot().BatchGet(ctx, keys)
}
