package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/tikv/client-go/v2/tikvrpc"
	"github.com/tikv/client-go/v2/tikvrpc/interceptor"
	"github.com/tikv/client-go/v2/txnkv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

const diedExit = 9

// point is where a client ends, and what others must read then.
type point struct {
	name string
	how  mode
	// The process ends without a word to anybody: before the first request of this kind, or once the
	// nth is answered.
	cmd       tikvrpc.CmdType
	nth       int
	committed bool
}

var points = []point{
	{"prewritten", optimistic, tikvrpc.CmdCommit, 0, false},
	// The primary is committed, its secondaries are not.
	{"primary", optimistic, tikvrpc.CmdCommit, 1, true},
	// Both Regions are prewritten, so the transaction is committed, though nobody says so.
	{"async", asyncCommit, tikvrpc.CmdPrewrite, 2, true},
	// The second Region is never prewritten: whoever meets the primary's lock rolls it back.
	{"half", asyncCommit, tikvrpc.CmdPrewrite, 1, false},
	// Pessimistic locks alone are left.
	{"locked", pessimistic, tikvrpc.CmdPrewrite, 0, false},
}

// deadKeys lie in two Regions: the first, which is the primary, and the others.
func deadKeys(prefix string) []string {
	return []string{prefix + "a", prefix + "m", prefix + "z"}
}

func dieAt(ctx context.Context, client *txnkv.Client, name, prefix string) {
	for _, p := range points {
		if p.name != name {
			continue
		}
		txn, err := client.Begin()
		if err == nil {
			err = p.write(ctx, txn, prefix)
		}
		fmt.Printf("FAIL die at %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(2)
}

func (p point) write(ctx context.Context, txn *transaction.KVTxn, prefix string) error {
	p.how(txn)
	var mu sync.Mutex
	seen := 0
	txn.SetRPCInterceptor(interceptor.NewRPCInterceptor("die", func(next interceptor.RPCInterceptorFunc) interceptor.RPCInterceptorFunc {
		return func(target string, req *tikvrpc.Request) (*tikvrpc.Response, error) {
			if req.Type != p.cmd {
				return next(target, req)
			}
			if p.nth == 0 {
				os.Exit(diedExit)
			}
			if p.name == "half" && string(req.Prewrite().Mutations[0].Key) != deadKeys(prefix)[0] {
				select {}
			}
			resp, err := next(target, req)
			if err != nil {
				return resp, err
			}
			if moved, err := resp.GetRegionError(); err != nil || moved != nil {
				return resp, err
			}
			mu.Lock()
			defer mu.Unlock()
			if seen++; seen == p.nth {
				os.Exit(diedExit)
			}
			return resp, nil
		}
	}))
	for _, key := range deadKeys(prefix) {
		if txn.IsPessimistic() {
			if err := txn.LockKeysWithWaitTime(ctx, 1000, []byte(key)); err != nil {
				return err
			}
		}
		if err := txn.Set([]byte(key), []byte("new")); err != nil {
			return err
		}
	}
	return txn.Commit(ctx)
}

// clientsDie starts other processes, one that ends at each point. What they leave is looked at while
// other checks run: it takes the time that a lock lives.
func clientsDie(ctx context.Context, s *suite) error {
	err := eachPoint(func(p point) error { return p.die(ctx, s) })
	if err == nil {
		go func() { s.left <- eachPoint(func(p point) error { return p.resolve(ctx, s) }) }()
	}
	return err
}

func leftLocks(_ context.Context, s *suite) error {
	select {
	case err := <-s.left:
		return err
	case <-time.After(2 * time.Minute):
		return errors.New("locks are left after 2 minutes")
	}
}

// eachPoint works on all points at once: they do not touch each other.
func eachPoint(work func(p point) error) error {
	results := make(chan error, len(points))
	for _, p := range points {
		go func() {
			err := work(p)
			if err != nil {
				err = fmt.Errorf("%s: %w", p.name, err)
			}
			results <- err
		}()
	}
	var errs []error
	for range points {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

func (p point) prefix() string { return fmt.Sprintf("die-%s-", p.name) }

// all returns a value for each of the keys.
func (p point) all(value string) map[string]string {
	pairs := map[string]string{}
	for _, key := range deadKeys(p.prefix()) {
		pairs[key] = value
	}
	return pairs
}

func (p point) die(ctx context.Context, s *suite) error {
	if _, err := write(ctx, s.client, optimistic, p.all("old")); err != nil {
		return err
	}
	keys := deadKeys(p.prefix())
	if _, err := s.client.SplitRegions(ctx, [][]byte{[]byte(keys[1])}, false, nil); err != nil {
		return fmt.Errorf("split: %w", err)
	}
	args := []string{"-pd", s.pd, fmt.Sprintf("-batch=%t", s.batch), "-die", p.name, "-prefix", p.prefix()}
	output, err := exec.CommandContext(ctx, os.Args[0], args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != diedExit {
		return fmt.Errorf("the other client ended with %v: %s", err, output)
	}
	return nil
}

// resolve reads and writes what the client has left.
func (p point) resolve(ctx context.Context, s *suite) error {
	want := p.all("old")
	if p.committed {
		want = p.all("new")
	}
	if err := expect(ctx, s.client, want); err != nil {
		return err
	}
	if _, err := write(ctx, s.other, optimistic, p.all("after")); err != nil {
		return fmt.Errorf("write after it: %w", err)
	}
	return expect(ctx, s.client, p.all("after"))
}
