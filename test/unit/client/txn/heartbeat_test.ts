/** When heartbeats are due, and that none comes after their end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TxnContext } from "../../../../src/client/txn/context.js";
import { Heartbeat } from "../../../../src/client/txn/heartbeat.js";
import { FakeClock } from "../../../support/fake_clock.js";
import { FakeTimers } from "../../../support/fake_timers.js";

const KEY = Uint8Array.of(1);
const LIFETIME_MAX_MS = 1000;

/** A context in which requests are counted and answered at once. */
function setUp(): {
  readonly timers: FakeTimers;
  readonly heartbeat: Heartbeat;
  readonly closing: AbortController;
  sent(): number;
} {
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const closing = new AbortController();
  let sent = 0;
  const context = {
    closing: closing.signal,
    options: { lifetimeMaxMs: LIFETIME_MAX_MS, managedTtlMs: 200 },
    background: { run: (_: string, work: () => Promise<void>) => work() },
    newOp: () => ({}),
    parts: {
      time: { after: (ms: number, action: () => void) => timers.after(ms, action) },
      sender: {
        sendTo: async () => {
          sent++;
        },
      },
    },
  } as unknown as TxnContext;
  const heartbeat = new Heartbeat(context, 1n, () => clock.monotonicMs());
  return { timers, heartbeat, closing, sent: () => sent };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("one is sent after the first wait, and then each half of a TTL", async () => {
  const { heartbeat, sent, timers } = setUp();
  heartbeat.start(KEY, 50);
  heartbeat.start(KEY, 1);
  timers.advance(49);
  assert.is(sent(), 0);
  timers.advance(1);
  await turn();
  assert.is(sent(), 1);
  timers.advance(100);
  await turn();
  assert.is(sent(), 2);
});

test("none begins after the end: a rollback may come while a lock is on its way", async () => {
  const { heartbeat, sent, timers } = setUp();
  heartbeat.stop();
  heartbeat.start(KEY, 50);
  timers.advance(500);
  await turn();
  assert.is(sent(), 0);
});

test("none begins when the client is closed", async () => {
  const { closing, heartbeat, sent, timers } = setUp();
  closing.abort();
  heartbeat.start(KEY, 50);
  timers.advance(500);
  await turn();
  assert.is(sent(), 0);
});

test("a transaction beyond its longest life has none, and no timer", async () => {
  const { heartbeat, sent, timers } = setUp();
  heartbeat.start(KEY, LIFETIME_MAX_MS + 1);
  timers.advance(LIFETIME_MAX_MS + 1);
  await turn();
  const { fired } = timers;
  timers.advance(LIFETIME_MAX_MS);
  assert.is(timers.fired, fired);
  assert.is(sent(), 0);
});

test.run();
