/**
 * Latches serialise the commands of one store that touch the same key: FIFO per key hash. Pure.
 * Not locks of transactions: a latch lives as long as one command. Two keys with one hash only
 * wait for each other. Source: tikv src/storage/txn/latch.rs.
 *
 * A command's hashes are sorted and taken in that order, so no two commands can wait for each
 * other in a circle.
 */
import { assert } from "../base/index.js";

/** The latches that one command needs. */
export interface LatchRequest {
  /** Sorted, without duplicates. */
  readonly hashes: readonly number[];
  /** How many of them, from the front, are held. */
  owned: number;
}

/** Returns the FNV-1a hash of a key; even spread is all that is asked of it. */
export function hashKey(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  }
  return hash >>> 0;
}

/** Returns the request for a set of keys, in any order, duplicates allowed. */
export function latchRequest(keys: readonly Uint8Array[]): LatchRequest {
  const [only] = keys;
  if (only !== undefined && keys.length === 1) return { hashes: [hashKey(only)], owned: 0 };
  const hashes = [...new Set(keys.map(hashKey))].sort((a, b) => a - b);
  return { hashes, owned: 0 };
}

/**
 * Invariant: the first command of a queue holds the latch; a command waits in one queue at a time.
 * The number of queues is bounded by the hashes of admitted commands (storage/flow_control.ts).
 */
export class Latches {
  private readonly queues = new Map<number, number[]>();

  /** Number of hashes that are held. */
  get held(): number {
    return this.queues.size;
  }

  /** Whether nobody holds a latch of `request`. */
  isFree({ hashes }: LatchRequest): boolean {
    for (const hash of hashes) if (this.queues.has(hash)) return false;
    return true;
  }

  /**
   * Takes as many latches of `request` as are free and queues for the next one.
   * Returns whether all are held; otherwise `release` will name `command` later: call again then.
   */
  acquire(request: LatchRequest, command: number): boolean {
    while (request.owned < request.hashes.length) {
      const hash = request.hashes[request.owned] as number;
      const queue = this.queues.get(hash);
      if (queue === undefined) {
        this.queues.set(hash, [command]);
      } else if (queue[0] !== command) {
        queue.push(command);
        return false;
      }
      request.owned++;
    }
    return true;
  }

  /**
   * As `acquire` for a request with one hash, but before all who wait: right behind its holder. For
   * a command that the holder itself has called for.
   */
  acquireNext(request: LatchRequest, command: number): boolean {
    assert(request.hashes.length === 1, "only a command with one latch is let in first");
    const queue = this.queues.get(request.hashes[0] as number);
    if (queue === undefined) return this.acquire(request, command);
    queue.splice(1, 0, command);
    return false;
  }

  /** Gives back all latches of `command`. Returns the commands to wake, oldest first per latch. */
  release(request: LatchRequest, command: number): number[] {
    assert(request.owned === request.hashes.length, "a command releases after it got all latches");
    const woken: number[] = [];
    for (const hash of request.hashes) {
      const queue = this.queues.get(hash) as number[];
      assert(queue[0] === command, "the holder of a latch is first in its queue");
      queue.shift();
      const next = queue[0];
      if (next === undefined) this.queues.delete(hash);
      else woken.push(next);
    }
    return woken;
  }
}
