package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	tikverr "github.com/tikv/client-go/v2/error"
	"github.com/tikv/client-go/v2/kv"
	"github.com/tikv/client-go/v2/tikvrpc"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

var checks = []check{
	{"clients die at every point of a commit", clientsDie},
	{"commit, overwrite, delete", commits},
	{"a snapshot stays as it was", snapshots},
	{"scans in both directions meet the transaction's own writes", scans},
	{"the later of two conflicting transactions fails", conflict},
	{"an insert of an existing key fails", insert},
	{"many keys over many Regions", manyRegions},
	{"async commit", commitsAsync},
	{"one-phase commit", commitsOnePhase},
	{"pessimistic locks: wait, time out, read under the lock", pessimisticLocks},
	{"locks taken over a conflict", forcedLocks},
	{"deadlock of two clients", deadlock},
	{"transfers between accounts keep the sum", bank},
	{"the locks of clients that died", leftLocks},
	{"garbage collection resolves locks first", collect},
}

func commits(ctx context.Context, s *suite) error {
	for _, how := range []mode{optimistic, pessimistic, asyncCommit, onePC} {
		for _, value := range []string{"one", "two", ""} {
			pairs := map[string]string{"commit-a": value, "commit-b": value}
			if _, err := write(ctx, s.client, how, pairs); err != nil {
				return err
			}
			if err := expect(ctx, s.other, pairs); err != nil {
				return err
			}
		}
	}
	return nil
}

func snapshots(ctx context.Context, s *suite) error {
	before := map[string]string{"snap-a": "1", "snap-b": "1"}
	if _, err := write(ctx, s.client, optimistic, before); err != nil {
		return err
	}
	old, err := s.other.Begin()
	if err != nil {
		return err
	}
	after := map[string]string{"snap-a": "2", "snap-b": ""}
	if _, err := write(ctx, s.client, optimistic, after); err != nil {
		return err
	}
	if err := expectIn(ctx, old, before); err != nil {
		return err
	}
	values, err := batchGet(ctx, old, [][]byte{[]byte("snap-a"), []byte("snap-b"), []byte("snap-c")})
	if err != nil {
		return err
	}
	if len(values) != 2 || string(values["snap-a"]) != "1" || string(values["snap-b"]) != "1" {
		return fmt.Errorf("batch get at the old timestamp: %q", values)
	}
	return expect(ctx, s.other, after)
}

// listed returns "key=value" in the order of an iterator.
func listed(txn *transaction.KVTxn, from, to string, reverse bool) ([]string, error) {
	iter, err := txn.Iter([]byte(from), []byte(to))
	if reverse {
		iter, err = txn.IterReverse([]byte(to), []byte(from))
	}
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	var out []string
	for iter.Valid() {
		out = append(out, fmt.Sprintf("%s=%s", iter.Key(), iter.Value()))
		if err := iter.Next(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scans(ctx context.Context, s *suite) error {
	pairs := map[string]string{}
	for i := 0; i < 6; i++ {
		pairs[fmt.Sprintf("scan-%d", i)] = fmt.Sprint(i)
	}
	if _, err := write(ctx, s.client, optimistic, pairs); err != nil {
		return err
	}
	if _, err := write(ctx, s.client, optimistic, map[string]string{"scan-3": ""}); err != nil {
		return err
	}
	txn, err := s.client.Begin()
	if err != nil {
		return err
	}
	if err := txn.Set([]byte("scan-33"), []byte("own")); err != nil {
		return err
	}
	want := []string{"scan-1=1", "scan-2=2", "scan-33=own", "scan-4=4"}
	for _, reverse := range []bool{false, true} {
		got, err := listed(txn, "scan-1", "scan-5", reverse)
		if err != nil {
			return err
		}
		if reverse {
			for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
				got[i], got[j] = got[j], got[i]
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			return fmt.Errorf("reverse %t: %v", reverse, got)
		}
	}
	return txn.Rollback()
}

func conflict(ctx context.Context, s *suite) error {
	late, err := s.other.Begin()
	if err != nil {
		return err
	}
	if _, err := write(ctx, s.client, optimistic, map[string]string{"conflict": "first"}); err != nil {
		return err
	}
	if err := late.Set([]byte("conflict"), []byte("second")); err != nil {
		return err
	}
	if err := late.Commit(ctx); !tikverr.IsErrWriteConflict(err) {
		return fmt.Errorf("got %v, want a write conflict", err)
	}
	return expect(ctx, s.client, map[string]string{"conflict": "first"})
}

func insert(ctx context.Context, s *suite) error {
	for i, want := range []bool{false, true} {
		txn, err := s.client.Begin()
		if err != nil {
			return err
		}
		if err := txn.GetMemBuffer().SetWithFlags([]byte("insert"), []byte("x"), kv.SetPresumeKeyNotExists); err != nil {
			return err
		}
		if err := txn.Commit(ctx); tikverr.IsErrKeyExist(err) != want {
			return fmt.Errorf("insert %d: %v", i, err)
		}
	}
	_, err := write(ctx, s.client, optimistic, map[string]string{"insert": ""})
	return err
}

func row(i int) string { return fmt.Sprintf("row-%07d", i) }

func manyRegions(ctx context.Context, s *suite) error {
	var splits [][]byte
	for i := 1; i < 8; i++ {
		splits = append(splits, []byte(row(i*s.rows/8)))
	}
	splits = append(splits, []byte("dead-m"), []byte("lock-m"))
	if _, err := s.client.SplitRegions(ctx, splits, false, nil); err != nil {
		return fmt.Errorf("split: %w", err)
	}
	pairs := map[string]string{}
	for i := 0; i < s.rows; i++ {
		pairs[row(i)] = fmt.Sprintf("%d-%s", i, strings.Repeat("v", i%300))
	}
	if _, err := write(ctx, s.client, optimistic, pairs); err != nil {
		return err
	}
	txn, err := s.other.Begin()
	if err != nil {
		return err
	}
	got, err := listed(txn, row(0), row(s.rows), false)
	if err != nil {
		return err
	}
	if len(got) != s.rows {
		return fmt.Errorf("%d rows, want %d", len(got), s.rows)
	}
	var keys [][]byte
	for i, line := range got {
		if want := row(i) + "=" + pairs[row(i)]; line != want {
			return fmt.Errorf("row %d: %s", i, line)
		}
		if i%7 == 0 {
			keys = append(keys, []byte(row(i)))
		}
	}
	values, err := batchGet(ctx, txn, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if string(values[string(key)]) != pairs[string(key)] {
			return fmt.Errorf("batch get %s", key)
		}
	}
	return nil
}

func commitsAsync(ctx context.Context, s *suite) error {
	pairs := map[string]string{"lock-a": "async", "lock-z": "async"}
	var w *watch
	_, err := write(ctx, s.client, func(txn *transaction.KVTxn) {
		asyncCommit(txn)
		w = watched(txn)
	}, pairs)
	if err != nil {
		return err
	}
	err = errors.New("no prewrite was answered")
	w.answers(func(answer *kvrpcpb.PrewriteResponse) {
		err = nil
		if answer.MinCommitTs == 0 {
			err = errors.New("a prewrite fell back to two phases")
		}
	})
	if err != nil {
		return err
	}
	return expect(ctx, s.other, pairs)
}

func commitsOnePhase(ctx context.Context, s *suite) error {
	pairs := map[string]string{"one-a": "1", "one-b": "2"}
	var w *watch
	txn, err := write(ctx, s.client, func(txn *transaction.KVTxn) {
		onePC(txn)
		w = watched(txn)
	}, pairs)
	if err != nil {
		return err
	}
	if n := w.count(tikvrpc.CmdCommit); n != 0 {
		return fmt.Errorf("%d commits were sent", n)
	}
	var commitTS uint64
	w.answers(func(answer *kvrpcpb.PrewriteResponse) { commitTS = answer.OnePcCommitTs })
	if commitTS <= txn.StartTS() {
		return fmt.Errorf("one_pc_commit_ts %d, start_ts %d", commitTS, txn.StartTS())
	}
	return expect(ctx, s.other, pairs)
}

func pessimisticLocks(ctx context.Context, s *suite) error {
	if _, err := write(ctx, s.client, optimistic, map[string]string{"pess": "0"}); err != nil {
		return err
	}
	holder, err := s.client.Begin()
	if err != nil {
		return err
	}
	pessimistic(holder)
	lockCtx := kv.NewLockCtx(holder.StartTS(), kv.LockAlwaysWait, time.Now())
	lockCtx.InitReturnValues(1)
	if err := holder.LockKeys(ctx, lockCtx, []byte("pess")); err != nil {
		return err
	}
	if value := lockCtx.Values["pess"]; string(value.Value) != "0" {
		return fmt.Errorf("under the lock: %q", value.Value)
	}
	for _, wait := range []int64{kv.LockNoWait, 300} {
		txn, err := s.other.Begin()
		if err != nil {
			return err
		}
		pessimistic(txn)
		err = txn.LockKeysWithWaitTime(ctx, wait, []byte("pess"))
		want := tikverr.ErrLockWaitTimeout
		if wait == kv.LockNoWait {
			want = tikverr.ErrLockAcquireFailAndNoWaitSet
		}
		if !errors.Is(err, want) {
			return fmt.Errorf("wait %d: %v", wait, err)
		}
		if err := txn.Rollback(); err != nil {
			return err
		}
	}
	waited := make(chan error, 1)
	go func() { waited <- increment(ctx, s) }()
	time.Sleep(100 * time.Millisecond)
	if err := holder.Set([]byte("pess"), []byte("1")); err != nil {
		return err
	}
	if err := holder.Commit(ctx); err != nil {
		return err
	}
	if err := <-waited; err != nil {
		return fmt.Errorf("the waiter: %w", err)
	}
	return expect(ctx, s.client, map[string]string{"pess": "11"})
}

// increment appends "1" to a key that it waits for.
func increment(ctx context.Context, s *suite) error {
	txn, err := s.other.Begin()
	if err != nil {
		return err
	}
	pessimistic(txn)
	forUpdateTS := txn.StartTS()
	for {
		lockCtx := kv.NewLockCtx(forUpdateTS, kv.LockAlwaysWait, time.Now())
		lockCtx.InitReturnValues(1)
		err := txn.LockKeys(ctx, lockCtx, []byte("pess"))
		if tikverr.IsErrWriteConflict(err) {
			if forUpdateTS, err = s.other.GetTimestamp(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		value := lockCtx.Values["pess"].Value
		if err := txn.Set([]byte("pess"), append(append([]byte{}, value...), '1')); err != nil {
			return err
		}
		return txn.Commit(ctx)
	}
}

func forcedLocks(ctx context.Context, s *suite) error {
	txn, err := s.client.Begin()
	if err != nil {
		return err
	}
	pessimistic(txn)
	if _, err := write(ctx, s.other, optimistic, map[string]string{"force": "newer"}); err != nil {
		return err
	}
	w := watched(txn)
	txn.StartAggressiveLocking()
	lockCtx := kv.NewLockCtx(txn.StartTS(), kv.LockAlwaysWait, time.Now())
	lockCtx.InitReturnValues(1)
	if err := txn.LockKeys(ctx, lockCtx, []byte("force")); err != nil {
		return err
	}
	value := lockCtx.Values["force"]
	if value.LockedWithConflictTS == 0 || string(value.Value) != "newer" {
		return fmt.Errorf("conflict ts %d, value %q", value.LockedWithConflictTS, value.Value)
	}
	if len(w.locks) != 1 || len(w.locks[0].Results) != 1 {
		return fmt.Errorf("%d answers", len(w.locks))
	}
	txn.DoneAggressiveLocking(ctx)
	if err := txn.Set([]byte("force"), []byte("mine")); err != nil {
		return err
	}
	if err := txn.Commit(ctx); err != nil {
		return err
	}
	return expect(ctx, s.other, map[string]string{"force": "mine"})
}

func deadlock(ctx context.Context, s *suite) error {
	keys := [][]byte{[]byte("dead-a"), []byte("dead-z")}
	txns := make([]*transaction.KVTxn, 2)
	for i := range txns {
		client := s.client
		if i == 1 {
			client = s.other
		}
		txn, err := client.Begin()
		if err != nil {
			return err
		}
		pessimistic(txn)
		if err := txn.LockKeysWithWaitTime(ctx, kv.LockAlwaysWait, keys[i]); err != nil {
			return fmt.Errorf("first lock of %d: %w", i, err)
		}
		txns[i] = txn
	}
	var wg sync.WaitGroup
	results := make([]error, 2)
	for i, txn := range txns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[i] = txn.LockKeysWithWaitTime(ctx, 10_000, keys[1-i])
			if err := txn.Rollback(); results[i] == nil {
				results[i] = err
			}
		}()
	}
	start := time.Now()
	wg.Wait()
	found := 0
	for i, err := range results {
		var e *tikverr.ErrDeadlock
		if errors.As(err, &e) {
			found++
			if len(e.WaitChain) != 2 || e.DeadlockKeyHash == 0 {
				return fmt.Errorf("wait chain of %d entries", len(e.WaitChain))
			}
		} else if err != nil && !tikverr.IsErrWriteConflict(err) {
			// The one that waits is woken by the other's rollback: it would lock again at a new timestamp.
			return fmt.Errorf("transaction %d: %w", i, err)
		}
	}
	if found != 1 {
		return fmt.Errorf("%d deadlocks told: %v", found, results)
	}
	if took := time.Since(start); took > 5*time.Second {
		return fmt.Errorf("it took %v", took)
	}
	return nil
}

const accounts = 8

func account(i int) string { return fmt.Sprintf("bank-%d", i) }

func bank(ctx context.Context, s *suite) error {
	start := map[string]string{}
	for i := 0; i < accounts; i++ {
		start[account(i)] = "100"
	}
	if _, err := write(ctx, s.client, optimistic, start); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for worker := 0; worker < 8; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 25; i++ {
				how := []mode{optimistic, pessimistic, asyncCommit, onePC}[(worker+i)%4]
				if err := transfer(ctx, s, how, (worker+i)%accounts, (worker*3+i*5+1)%accounts); err != nil {
					errs <- err
					return
				}
				if err := sum(ctx, s); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// transfer moves 1 from an account to another, again after every conflict.
func transfer(ctx context.Context, s *suite, how mode, from, to int) error {
	if from == to {
		return nil
	}
	for {
		err := transferOnce(ctx, s, how, account(from), account(to))
		var retryable *tikverr.ErrRetryable
		var latch *tikverr.ErrWriteConflictInLatch
		var dead *tikverr.ErrDeadlock
		if tikverr.IsErrWriteConflict(err) || errors.As(err, &retryable) || errors.As(err, &latch) || errors.As(err, &dead) {
			continue
		}
		return err
	}
}

func transferOnce(ctx context.Context, s *suite, how mode, from, to string) error {
	txn, err := s.client.Begin()
	if err != nil {
		return err
	}
	how(txn)
	read := func(key string) ([]byte, error) { return get(ctx, txn, []byte(key)) }
	if txn.IsPessimistic() {
		if read, err = lockAndRead(ctx, s, txn, from, to); err != nil {
			_ = txn.Rollback()
			return err
		}
	}
	for key, change := range map[string]int{from: -1, to: 1} {
		value, err := read(key)
		if err != nil {
			return err
		}
		var balance int
		if _, err := fmt.Sscan(string(value), &balance); err != nil {
			return fmt.Errorf("account %s holds %q", key, value)
		}
		if err := txn.Set([]byte(key), []byte(fmt.Sprint(balance+change))); err != nil {
			return err
		}
	}
	return txn.Commit(ctx)
}

// lockAndRead returns what was read under the locks, newer than the snapshot of the transaction.
func lockAndRead(ctx context.Context, s *suite, txn *transaction.KVTxn, keys ...string) (func(key string) ([]byte, error), error) {
	ts, err := s.client.GetTimestamp(ctx)
	if err != nil {
		return nil, err
	}
	lockCtx := kv.NewLockCtx(ts, 5000, time.Now())
	lockCtx.InitReturnValues(len(keys))
	wanted := make([][]byte, len(keys))
	for i, key := range keys {
		wanted[i] = []byte(key)
	}
	err = txn.LockKeys(ctx, lockCtx, wanted...)
	return func(key string) ([]byte, error) { return lockCtx.Values[key].Value, nil }, err
}

func sum(ctx context.Context, s *suite) error {
	txn, err := s.other.Begin()
	if err != nil {
		return err
	}
	lines, err := listed(txn, account(0), "bank-~", false)
	if err != nil {
		return err
	}
	total := 0
	for _, line := range lines {
		var balance int
		_, value, _ := strings.Cut(line, "=")
		if _, err := fmt.Sscan(value, &balance); err != nil {
			return err
		}
		total += balance
	}
	if total != 100*accounts {
		return fmt.Errorf("the sum is %d: %v", total, lines)
	}
	return nil
}

func collect(ctx context.Context, s *suite) error {
	if _, err := write(ctx, s.client, optimistic, map[string]string{"gc-a": "1", "gc-b": "1"}); err != nil {
		return err
	}
	now, err := s.client.GetTimestamp(ctx)
	if err != nil {
		return err
	}
	safePoint, err := s.client.GC(ctx, now)
	if err != nil {
		return err
	}
	if safePoint != now {
		return fmt.Errorf("safe point %d, asked for %d", safePoint, now)
	}
	return expect(ctx, s.other, map[string]string{"gc-a": "1", "gc-b": "1"})
}
