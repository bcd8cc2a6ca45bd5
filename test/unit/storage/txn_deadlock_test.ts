/** The detector of a store, driven: its role follows the regions, lost connections are retried. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../src/base/index.js";
import type { ReadDelegate } from "../../../src/raftstore/index.js";
import { DeadlockDriver, type DeadlockHooks } from "../../../src/storage/txn_deadlock.js";
import type { DeadlockFound, WaitForEntry } from "../../../src/txn/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakeTimers } from "../../support/fake_timers.js";

function edge(txn: bigint, waitForTxn: bigint): WaitForEntry {
  return { txn, waitForTxn, keyHash: 1n, key: utf8("k"), resourceGroupTag: EMPTY_BYTES };
}

function region(isLeader: boolean, startKey = EMPTY_BYTES, peers = 1): ReadDelegate {
  const view = { isLeader, region: { startKey, peers: Array.from({ length: peers }) } };
  return view as unknown as ReadDelegate;
}

class Store {
  readonly clock = new FakeClock();
  readonly timers = new FakeTimers(this.clock);
  readonly notes: string[] = [];
  readonly found: DeadlockFound[] = [];
  regions: readonly ReadDelegate[] = [];
  hooks: DeadlockHooks | undefined;
  measured = 0;
  readonly driver = new DeadlockDriver({
    router: { delegates: () => this.regions },
    clock: this.clock,
    timers: this.timers,
    transport: (hooks) => {
      this.hooks = hooks;
      return {
        connect: () => this.notes.push("connect"),
        send: ({ entry }) => this.notes.push(`send ${entry.txn}`),
        close: () => this.notes.push("close"),
      };
    },
    metrics: { onDetect: () => this.measured++ },
    ttlMs: 1000,
    onFound: (found) => this.found.push(found),
  });

  detect(txn: bigint, waitForTxn: bigint): DeadlockFound | undefined {
    return this.driver.detect(this.clock.monotonicMs(), edge(txn, waitForTxn));
  }

  take(): string[] {
    return this.notes.splice(0);
  }
}

test("the leader of the region with the empty key detects", () => {
  const store = new Store();
  store.regions = [region(true, utf8("m")), region(true)];
  assert.is(store.detect(1n, 2n), undefined);
  assert.ok(store.detect(2n, 1n) !== undefined);
  const served = store.driver.serve({ type: "detect", entry: edge(3n, 1n) });
  assert.equal(served, { ok: true, value: undefined });
  assert.equal(store.take(), []);
  assert.is(store.measured, 3);
});

test("no other store does: not its followers, not one without the region's data", () => {
  for (const regions of [
    [],
    [region(false)],
    [region(true, utf8("m"))],
    [region(true, EMPTY_BYTES, 0)],
  ]) {
    const store = new Store();
    store.regions = regions;
    store.detect(1n, 2n);
    assert.equal(store.take(), ["connect"]);
    const served = store.driver.serve({ type: "detect", entry: edge(3n, 1n) });
    assert.equal(served, { ok: false, error: "notLeader" });
  }
});

test("a leader that is one no longer forgets the graph", () => {
  const store = new Store();
  store.regions = [region(true)];
  store.detect(1n, 2n);
  store.regions = [region(false)];
  store.detect(5n, 6n);
  store.regions = [region(true)];
  assert.is(store.detect(2n, 1n), undefined);
  assert.equal(store.take(), ["connect", "close"]);
});

test("after a lost connection the next edge waits for the pause, and needs no further one", () => {
  const store = new Store();
  store.detect(1n, 2n);
  store.hooks?.onConnected();
  store.hooks?.onDisconnected();
  assert.equal(store.take(), ["connect", "send 1"]);
  store.timers.advance(50);
  assert.is(store.timers.fired, 0, "nothing waits for a connection");
  store.detect(3n, 4n);
  store.timers.advance(49);
  assert.equal(store.take(), []);
  store.timers.advance(1);
  assert.equal(store.take(), ["connect"]);
  store.hooks?.onConnected();
  assert.equal(store.take(), ["send 3"]);
  assert.is(store.timers.fired, 1);
});

test("failed attempts go on while something waits, at one timer a time", () => {
  const store = new Store();
  for (const txn of [1n, 2n, 3n]) store.detect(txn, 9n);
  for (let attempt = 1; attempt <= 5; attempt++) {
    assert.equal(store.take(), ["connect"], `attempt ${attempt}`);
    store.hooks?.onDisconnected();
    store.timers.advance(100);
    assert.is(store.timers.fired, attempt);
  }
});

test("what the leader elsewhere finds is passed on", () => {
  const store = new Store();
  store.detect(1n, 2n);
  const found = { edge: edge(1n, 2n), deadlockKeyHash: 1n, waitChain: [] };
  store.hooks?.onFound(found);
  assert.equal(store.found, [found]);
});

test.run();
