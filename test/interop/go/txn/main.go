// Interop checks of transactions with the unmodified Go client, current and of the TiDB 8.5 line
// (-tags tidb85). It prints "PASS name" or "FAIL name: reason" a check, and exits 1 if any failed.
// As "-die POINT" it is a client that ends in the middle of a commit, for the checks of another.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/tikv/client-go/v2/config"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/txnkv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

type suite struct {
	client *txnkv.Client
	// other shares nothing with client but the cluster.
	other *txnkv.Client
	pd    string
	batch bool
	rows  int
	// left tells what became of the locks of the clients that died.
	left chan error
}

type check struct {
	name string
	run  func(ctx context.Context, s *suite) error
}

func open(pd string) *txnkv.Client {
	client, err := txnkv.NewClient(strings.Split(pd, ","), txnkv.WithAPIVersion(kvrpcpb.APIVersion_V1))
	if err != nil {
		fmt.Printf("FAIL open: %v\n", err)
		os.Exit(1)
	}
	return client
}

func main() {
	pd := flag.String("pd", "127.0.0.1:2379", "PD addresses, comma separated")
	batch := flag.Bool("batch", true, "use BatchCommands")
	rows := flag.Int("rows", 20000, "keys of the large transaction")
	die := flag.String("die", "", "end at this point of a commit")
	prefix := flag.String("prefix", "", "prefix of the keys of -die")
	only := flag.String("only", "", "run the checks whose name contains this")
	flag.Parse()

	if !*batch {
		config.UpdateGlobal(func(c *config.Config) { c.TiKVClient.MaxBatchSize = 0 })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	if *die != "" {
		dieAt(ctx, open(*pd), *die, *prefix)
		return
	}
	s := &suite{client: open(*pd), other: open(*pd), pd: *pd, batch: *batch, rows: *rows, left: make(chan error, 1)}
	failed := 0
	for _, c := range checks {
		if !strings.Contains(c.name, *only) {
			continue
		}
		if err := c.run(ctx, s); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", c.name, err)
			continue
		}
		fmt.Printf("PASS %s\n", c.name)
	}
	for _, client := range []*txnkv.Client{s.client, s.other} {
		if err := client.Close(); err != nil {
			failed++
			fmt.Printf("FAIL close: %v\n", err)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func found(value []byte, err error) ([]byte, error) {
	if tikverr.IsErrNotFound(err) {
		return nil, nil
	}
	return value, err
}

// mode prepares a transaction before it writes.
type mode func(txn *transaction.KVTxn)

func optimistic(*transaction.KVTxn)      {}
func pessimistic(txn *transaction.KVTxn) { txn.SetPessimistic(true) }
func asyncCommit(txn *transaction.KVTxn) { txn.SetEnableAsyncCommit(true) }
func onePC(txn *transaction.KVTxn)       { txn.SetEnable1PC(true) }

// write commits one transaction; a value "" deletes its key.
func write(ctx context.Context, client *txnkv.Client, how mode, pairs map[string]string) (*transaction.KVTxn, error) {
	txn, err := client.Begin()
	if err != nil {
		return nil, err
	}
	how(txn)
	for key, value := range pairs {
		if value == "" {
			err = txn.Delete([]byte(key))
		} else {
			err = txn.Set([]byte(key), []byte(value))
		}
		if err != nil {
			return nil, err
		}
	}
	return txn, txn.Commit(ctx)
}

// expect reads each key in one new transaction; "" stands for a missing key.
func expect(ctx context.Context, client *txnkv.Client, pairs map[string]string) error {
	txn, err := client.Begin()
	if err != nil {
		return err
	}
	return expectIn(ctx, txn, pairs)
}

func expectIn(ctx context.Context, txn *transaction.KVTxn, pairs map[string]string) error {
	for key, want := range pairs {
		got, err := get(ctx, txn, []byte(key))
		if err != nil {
			return fmt.Errorf("get %s: %w", key, err)
		}
		if !bytes.Equal(got, []byte(want)) {
			return fmt.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	return nil
}
