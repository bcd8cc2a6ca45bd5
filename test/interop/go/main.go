// Interop checks with the unmodified Go client. One program, two module files: go.mod pins the
// current client, tidb85.mod the one of the TiDB 8.5 line. It prints a line per check,
// "PASS name" or "FAIL name: reason", and exits 1 if any check failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/tikv/client-go/v2/config"
	"github.com/tikv/client-go/v2/rawkv"
)

type suite struct {
	client *rawkv.Client
	// atomic issues puts and swaps under the store's latch, as mixed use with swaps needs.
	atomic *rawkv.Client
	keys   int
	ttl    bool
	prefix string
}

type check struct {
	name string
	run  func(ctx context.Context, s *suite) error
}

func open(ctx context.Context, pd []string, version kvrpcpb.APIVersion) *rawkv.Client {
	client, err := rawkv.NewClientWithOpts(ctx, pd, rawkv.WithAPIVersion(version))
	if err != nil {
		fmt.Printf("FAIL open: %v\n", err)
		os.Exit(1)
	}
	return client
}

func main() {
	pd := flag.String("pd", "127.0.0.1:2379", "PD addresses, comma separated")
	api := flag.String("api", "V1", "V1 | V1TTL | V2")
	batch := flag.Bool("batch", true, "use BatchCommands")
	moves := flag.Bool("follow", false, "only check that one client follows a store that moves")
	keys := flag.Int("keys", 100000, "keys of the large data set")
	flag.Parse()

	if !*batch {
		config.UpdateGlobal(func(c *config.Config) { c.TiKVClient.MaxBatchSize = 0 })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	version := kvrpcpb.APIVersion(kvrpcpb.APIVersion_value[*api])
	addresses := strings.Split(*pd, ",")
	if *moves {
		if err := follow(ctx, &suite{client: open(ctx, addresses, version)}); err != nil {
			fmt.Printf("FAIL follow: %v\n", err)
			os.Exit(1)
		}
		fmt.Println("PASS follow")
		return
	}
	s := &suite{
		client: open(ctx, addresses, version),
		atomic: open(ctx, addresses, version),
		keys:   *keys,
		ttl:    *api != "V1",
		prefix: fmt.Sprintf("%s-%t-", *api, *batch),
	}
	s.atomic.SetAtomicForCAS(true)
	failed := 0
	for _, c := range checks {
		if err := c.run(ctx, s); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", c.name, err)
			continue
		}
		fmt.Printf("PASS %s\n", c.name)
	}
	if err := s.client.Close(); err != nil {
		failed++
		fmt.Printf("FAIL close: %v\n", err)
	}
	_ = s.atomic.Close()
	if failed > 0 {
		os.Exit(1)
	}
}
