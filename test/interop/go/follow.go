package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
)

// follow keeps one client while the store behind it comes back on another port: it says when the
// store may go, and goes on at the next line of its input.
func follow(ctx context.Context, s *suite) error {
	key, before, after := []byte("follow"), []byte("before"), []byte("after")
	if err := s.client.Put(ctx, key, before); err != nil {
		return err
	}
	fmt.Println("WAIT")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("input ended: %w", err)
	}
	if err := s.expectGet(ctx, key, before); err != nil {
		return err
	}
	if err := s.client.Put(ctx, key, after); err != nil {
		return err
	}
	return s.expectGet(ctx, key, after)
}
