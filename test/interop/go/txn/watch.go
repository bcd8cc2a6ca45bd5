package main

import (
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/tikv/client-go/v2/tikvrpc"
	"github.com/tikv/client-go/v2/tikvrpc/interceptor"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// watch counts what a transaction sends and keeps what its prewrites were answered.
type watch struct {
	mu       sync.Mutex
	sent     map[tikvrpc.CmdType]int
	prewrite []*kvrpcpb.PrewriteResponse
	locks    []*kvrpcpb.PessimisticLockResponse
}

func watched(txn *transaction.KVTxn) *watch {
	w := &watch{sent: map[tikvrpc.CmdType]int{}}
	txn.SetRPCInterceptor(interceptor.NewRPCInterceptor("watch", func(next interceptor.RPCInterceptorFunc) interceptor.RPCInterceptorFunc {
		return func(target string, req *tikvrpc.Request) (*tikvrpc.Response, error) {
			resp, err := next(target, req)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sent[req.Type]++
			if err != nil || resp == nil {
				return resp, err
			}
			switch answer := resp.Resp.(type) {
			case *kvrpcpb.PrewriteResponse:
				w.prewrite = append(w.prewrite, answer)
			case *kvrpcpb.PessimisticLockResponse:
				w.locks = append(w.locks, answer)
			}
			return resp, err
		}
	}))
	return w
}

// answers calls do with every answered prewrite.
func (w *watch) answers(do func(*kvrpcpb.PrewriteResponse)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, answer := range w.prewrite {
		do(answer)
	}
}

func (w *watch) count(cmd tikvrpc.CmdType) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[cmd]
}
