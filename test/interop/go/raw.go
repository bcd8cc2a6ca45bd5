package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc64"
	"strings"
	"sync"
	"time"

	"github.com/tikv/client-go/v2/rawkv"
)

var checks = []check{
	{"put, get and delete", putGetDelete},
	{"an empty value differs from a missing key", emptyValue},
	{"bytes 0x00 and 0xff in keys keep their order", binaryKeys},
	{"large values", largeValues},
	{"bulk load and batch get", bulkLoad},
	{"scan over the whole set, both directions", scanAll},
	{"checksum equals the client's own", checksum},
	{"batch delete and delete range", deletes},
	{"compare and swap races", swapRaces},
	{"time to live", timeToLive},
	{"an oversize key is refused", oversizeKey},
	{"many goroutines share the streams", concurrent},
}

func (s *suite) key(format string, args ...any) []byte {
	return []byte(s.prefix + fmt.Sprintf(format, args...))
}

func (s *suite) row(i int) ([]byte, []byte) {
	return s.key("row-%08d", i), []byte(fmt.Sprintf("value-%08d-%s", i, strings.Repeat("x", i%64)))
}

// next is the end of the range that holds every key with this prefix.
func next(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	end[len(end)-1]++
	return end
}

func expect(got, want []byte) error {
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		return fmt.Errorf("got %q (nil %t), want %q (nil %t)", got, got == nil, want, want == nil)
	}
	return nil
}

func (s *suite) expectGet(ctx context.Context, key, want []byte) error {
	got, err := s.client.Get(ctx, key)
	if err != nil {
		return err
	}
	return expect(got, want)
}

func putGetDelete(ctx context.Context, s *suite) error {
	key := s.key("single")
	if err := s.expectGet(ctx, key, nil); err != nil {
		return err
	}
	for _, value := range []string{"one", "two"} {
		if err := s.client.Put(ctx, key, []byte(value)); err != nil {
			return err
		}
		if err := s.expectGet(ctx, key, []byte(value)); err != nil {
			return err
		}
	}
	if err := s.client.Delete(ctx, key); err != nil {
		return err
	}
	return s.expectGet(ctx, key, nil)
}

func emptyValue(ctx context.Context, s *suite) error {
	key := s.key("empty")
	if err := s.client.BatchPut(ctx, [][]byte{key}, [][]byte{{}}); err != nil {
		return err
	}
	if err := s.expectGet(ctx, key, []byte{}); err != nil {
		return err
	}
	got, err := s.client.BatchGet(ctx, [][]byte{key, s.key("absent")})
	if err != nil {
		return err
	}
	if err := expect(got[0], []byte{}); err != nil {
		return err
	}
	return expect(got[1], nil)
}

func binaryKeys(ctx context.Context, s *suite) error {
	base := s.key("binary-")
	suffixes := []string{"", "\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "\xfe\xff", "\xff", "\xff\xff"}
	for i := len(suffixes) - 1; i >= 0; i-- {
		key := append(append([]byte{}, base...), suffixes[i]...)
		if err := s.client.Put(ctx, key, []byte(suffixes[i]+"v")); err != nil {
			return err
		}
	}
	keys, values, err := s.client.Scan(ctx, base, next(base), 100)
	if err != nil {
		return err
	}
	if len(keys) != len(suffixes) {
		return fmt.Errorf("%d keys, want %d", len(keys), len(suffixes))
	}
	for i, suffix := range suffixes {
		if err := expect(keys[i][len(base):], []byte(suffix)); err != nil {
			return err
		}
		if err := expect(values[i], []byte(suffix+"v")); err != nil {
			return err
		}
	}
	return nil
}

func largeValues(ctx context.Context, s *suite) error {
	for _, size := range []int{64 << 10, 1 << 20, 4 << 20} {
		key, value := s.key("large-%d", size), bytes.Repeat([]byte{0xa5, 0x00, 0xff}, size/3)
		if err := s.client.Put(ctx, key, value); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
		if err := s.expectGet(ctx, key, value); err != nil {
			return fmt.Errorf("%d bytes differ", size)
		}
	}
	return nil
}

func bulkLoad(ctx context.Context, s *suite) error {
	const step = 1000
	for start := 0; start < s.keys; start += step {
		var keys, values [][]byte
		for i := start; i < start+step && i < s.keys; i++ {
			key, value := s.row(i)
			keys, values = append(keys, key), append(values, value)
		}
		if err := s.client.BatchPut(ctx, keys, values); err != nil {
			return err
		}
	}
	var keys, want [][]byte
	for i := 0; i < s.keys; i += 97 {
		key, value := s.row(i)
		keys, want = append(keys, key), append(want, value)
	}
	got, err := s.client.BatchGet(ctx, keys)
	if err != nil {
		return err
	}
	for i := range want {
		if err := expect(got[i], want[i]); err != nil {
			return fmt.Errorf("%s: %w", keys[i], err)
		}
	}
	return nil
}

func scanAll(ctx context.Context, s *suite) error {
	base := s.key("row-")
	at, i := base, 0
	for {
		keys, values, err := s.client.Scan(ctx, at, next(base), 4096)
		if err != nil {
			return err
		}
		for j := range keys {
			key, value := s.row(i)
			if !bytes.Equal(keys[j], key) || !bytes.Equal(values[j], value) {
				return fmt.Errorf("row %d is %q", i, keys[j])
			}
			i++
		}
		if len(keys) < 4096 {
			break
		}
		at = append(append([]byte{}, keys[len(keys)-1]...), 0)
	}
	if i != s.keys {
		return fmt.Errorf("%d rows, want %d", i, s.keys)
	}
	return reverseAndKeyOnly(ctx, s, base)
}

func reverseAndKeyOnly(ctx context.Context, s *suite, base []byte) error {
	keys, values, err := s.client.ReverseScan(ctx, next(base), base, 1000)
	if err != nil {
		return err
	}
	for j := range keys {
		key, value := s.row(s.keys - 1 - j)
		if !bytes.Equal(keys[j], key) || !bytes.Equal(values[j], value) {
			return fmt.Errorf("reverse row %d is %q", j, keys[j])
		}
	}
	if len(keys) != min(1000, s.keys) {
		return fmt.Errorf("%d reverse rows", len(keys))
	}
	keys, values, err = s.client.Scan(ctx, base, next(base), 10, rawkv.ScanKeyOnly())
	if err != nil || len(keys) != 10 {
		return fmt.Errorf("key only: %d keys, %v", len(keys), err)
	}
	for _, value := range values {
		if len(value) != 0 {
			return fmt.Errorf("key only returned a value")
		}
	}
	return nil
}

func checksum(ctx context.Context, s *suite) error {
	table := crc64.MakeTable(crc64.ECMA)
	var sum, count, size uint64
	for i := 0; i < s.keys; i++ {
		key, value := s.row(i)
		digest := crc64.New(table)
		_, _ = digest.Write(key)
		_, _ = digest.Write(value)
		sum ^= digest.Sum64()
		count++
		size += uint64(len(key) + len(value))
	}
	base := s.key("row-")
	got, err := s.client.Checksum(ctx, base, next(base))
	if err != nil {
		return err
	}
	if got.Crc64Xor != sum || got.TotalKvs != count || got.TotalBytes != size {
		return fmt.Errorf("got %+v, want %x %d %d", got, sum, count, size)
	}
	return nil
}

func deletes(ctx context.Context, s *suite) error {
	var keys, values [][]byte
	for i := 0; i < 2000; i++ {
		keys = append(keys, s.key("del-%06d", i))
		values = append(values, []byte{byte(i)})
	}
	if err := s.client.BatchPut(ctx, keys, values); err != nil {
		return err
	}
	if err := s.client.BatchDelete(ctx, keys[:500]); err != nil {
		return err
	}
	if err := s.client.DeleteRange(ctx, keys[1000], keys[1500]); err != nil {
		return err
	}
	base := s.key("del-")
	left, _, err := s.client.Scan(ctx, base, next(base), 10000)
	if err != nil {
		return err
	}
	want := append(append([][]byte{}, keys[500:1000]...), keys[1500:]...)
	if len(left) != len(want) {
		return fmt.Errorf("%d keys left, want %d", len(left), len(want))
	}
	for i := range want {
		if err := expect(left[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

// swapRaces counts with concurrent swaps; a lost update leaves the sum too small.
func swapRaces(ctx context.Context, s *suite) error {
	const workers, rounds = 8, 25
	key := s.key("counter")
	if _, swapped, err := s.atomic.CompareAndSwap(ctx, key, nil, []byte("0")); err != nil || !swapped {
		return fmt.Errorf("first swap: %t, %v", swapped, err)
	}
	var group sync.WaitGroup
	failures := make(chan error, workers)
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for done := 0; done < rounds; {
				var now int
				value, err := s.atomic.Get(ctx, key)
				if err == nil {
					_, err = fmt.Sscan(string(value), &now)
				}
				swapped := false
				if err == nil {
					_, swapped, err = s.atomic.CompareAndSwap(ctx, key, value, []byte(fmt.Sprint(now+1)))
				}
				if err != nil {
					failures <- err
					return
				}
				if swapped {
					done++
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	return s.expectGet(ctx, key, []byte(fmt.Sprint(workers*rounds)))
}

func timeToLive(ctx context.Context, s *suite) error {
	key := s.key("ttl")
	err := s.client.PutWithTTL(ctx, key, []byte("short"), 2)
	if !s.ttl {
		if err == nil || !strings.Contains(err.Error(), "ttl is not enabled") {
			return fmt.Errorf("a TTL without TTL support: %v", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	left, err := s.client.GetKeyTTL(ctx, key)
	if err != nil || left == nil || *left == 0 || *left > 2 {
		return fmt.Errorf("ttl left %v, %v", left, err)
	}
	forever := s.key("no-ttl")
	if err := s.client.Put(ctx, forever, []byte("long")); err != nil {
		return err
	}
	left, err = s.client.GetKeyTTL(ctx, forever)
	if err != nil || left == nil || *left != 0 {
		return fmt.Errorf("ttl of a key without one: %v, %v", left, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		value, err := s.client.Get(ctx, key)
		if err != nil {
			return err
		}
		if value == nil {
			left, err = s.client.GetKeyTTL(ctx, key)
			if err != nil || left != nil {
				return fmt.Errorf("ttl of an expired key: %v, %v", left, err)
			}
			return s.expectGet(ctx, forever, []byte("long"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the key outlived its TTL")
}

func oversizeKey(ctx context.Context, s *suite) error {
	err := s.client.Put(ctx, bytes.Repeat([]byte("k"), 9000), []byte("v"))
	if err == nil || !strings.Contains(err.Error(), "max key size exceeded") {
		return fmt.Errorf("got %v", err)
	}
	return nil
}

func concurrent(ctx context.Context, s *suite) error {
	const workers, rounds = 32, 100
	var group sync.WaitGroup
	failures := make(chan error, workers)
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range rounds {
				key, value := s.key("c-%02d-%04d", w, i), []byte(fmt.Sprint(w*rounds+i))
				err := s.client.Put(ctx, key, value)
				if err == nil {
					err = s.expectGet(ctx, key, value)
				}
				if err != nil {
					failures <- fmt.Errorf("%s: %w", key, err)
					return
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}
