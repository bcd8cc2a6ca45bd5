/** Who detects deadlocks, and how edges get there: roles, connections, what is lost (2.10). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../../src/base/index.js";
import {
  DETECTOR_DEFAULTS,
  type DeadlockRequest,
  type DeadlockTransport,
  Detector,
  type WaitForEntry,
} from "../../../../src/txn/index.js";

class NotingTransport implements DeadlockTransport {
  readonly notes: string[] = [];

  connect(): void {
    this.notes.push("connect");
  }

  send({ type, entry }: DeadlockRequest): void {
    this.notes.push(`${type} ${entry.txn}>${entry.waitForTxn}`);
  }

  close(): void {
    this.notes.push("close");
  }

  /** Returns what happened since the last call. */
  take(): string[] {
    return this.notes.splice(0);
  }
}

function edge(txn: number, waitForTxn: number): WaitForEntry {
  return {
    txn: BigInt(txn),
    waitForTxn: BigInt(waitForTxn),
    keyHash: 7n,
    key: utf8("k"),
    resourceGroupTag: EMPTY_BYTES,
  };
}

function start(): { detector: Detector; transport: NotingTransport } {
  const transport = new NotingTransport();
  return { detector: new Detector(transport), transport };
}

test("leader: edges of its own and of other stores are one graph", () => {
  const { detector, transport } = start();
  detector.changeRole("leader");
  assert.is(detector.detect(0, edge(1, 2)), undefined);
  const served = detector.serve(0, { type: "detect", entry: edge(2, 1) });
  const found = { edge: edge(2, 1), deadlockKeyHash: 7n, waitChain: [edge(1, 2)] };
  assert.equal(served, { ok: true, value: found });
  detector.serve(0, { type: "detect", entry: edge(2, 3) });
  assert.equal(detector.detect(0, edge(3, 2))?.waitChain, [edge(2, 3)]);
  assert.equal(transport.take(), []);
  detector.detect(0, edge(4, 2));
  const { detects, deadlocks } = detector.metrics;
  assert.equal({ detects, deadlocks }, { detects: 5, deadlocks: 2 });
});

test("leader: other stores take their edges back", () => {
  const { detector } = start();
  detector.changeRole("leader");
  detector.serve(0, { type: "detect", entry: edge(1, 2) });
  detector.serve(0, { type: "detect", entry: edge(1, 3) });
  detector.serve(0, { type: "cleanUpWaitFor", entry: edge(1, 2) });
  assert.is(detector.edges, 1);
  detector.serve(0, { type: "cleanUp", entry: edge(1, 0) });
  assert.is(detector.edges, 0);
});

test("follower: refuses to serve", () => {
  const { detector } = start();
  const served = detector.serve(0, { type: "detect", entry: edge(1, 2) });
  assert.equal(served, { ok: false, error: "notLeader" });
  assert.is(detector.edges, 0);
  assert.is(detector.metrics.notLeader, 1);
});

test("follower: the first edge connects, what comes meanwhile waits, in order", () => {
  const { detector, transport } = start();
  detector.detect(0, edge(1, 2));
  detector.detect(1, edge(3, 4));
  detector.cleanUpWaitFor(2, edge(1, 2));
  assert.equal(transport.take(), ["connect"]);
  detector.onConnected();
  assert.equal(transport.take(), ["detect 1>2", "detect 3>4", "cleanUpWaitFor 1>2"]);
  detector.detect(3, edge(5, 6));
  assert.equal(transport.take(), ["detect 5>6"]);
  assert.is(detector.edges, 0);
});

test("follower: after a lost connection it tries again, not at once, and only if it has to", () => {
  const { detector, transport } = start();
  detector.detect(0, edge(1, 2));
  detector.onConnected();
  transport.take();
  detector.onDisconnected(50);
  assert.is(detector.nextDeadlineMs, undefined);
  detector.tick(1000);
  assert.equal(transport.take(), []);
  detector.detect(60, edge(3, 4));
  assert.equal(transport.take(), []);
  assert.is(detector.nextDeadlineMs, 50 + DETECTOR_DEFAULTS.reconnectMs);
  detector.tick(149);
  assert.equal(transport.take(), []);
  detector.tick(150);
  assert.equal(transport.take(), ["connect"]);
  assert.is(detector.nextDeadlineMs, undefined);
  detector.onDisconnected(160);
  assert.is(detector.nextDeadlineMs, 260, "what waits is kept");
  detector.tick(260);
  detector.onConnected();
  assert.equal(transport.take(), ["connect", "detect 3>4"]);
});

test("follower: what waits for a connection is bounded, the oldest give way", () => {
  const transport = new NotingTransport();
  const detector = new Detector(transport, { ...DETECTOR_DEFAULTS, pendingMax: 2 });
  for (const txn of [1, 2, 3]) detector.detect(0, edge(txn, 9));
  detector.onConnected();
  assert.equal(transport.take(), ["connect", "detect 2>9", "detect 3>9"]);
  assert.is(detector.metrics.dropped, 1);
});

test("change of role: the table and what waits are gone, the connection is closed", () => {
  const { detector, transport } = start();
  detector.changeRole("leader");
  detector.detect(0, edge(1, 2));
  detector.changeRole("follower");
  assert.is(detector.edges, 0);
  detector.detect(0, edge(3, 4));
  assert.equal(transport.take(), ["connect"]);
  detector.changeRole("leader");
  assert.equal(transport.take(), ["close"]);
  assert.is(detector.detect(0, edge(2, 1)), undefined);
  detector.onConnected();
  detector.onDisconnected(1);
  assert.equal(transport.take(), [], "events of the closed connection are nothing");
});

test("another leader elsewhere: a follower connects anew", () => {
  const { detector, transport } = start();
  detector.detect(0, edge(1, 2));
  detector.onConnected();
  transport.take();
  detector.changeRole("follower");
  detector.detect(0, edge(3, 4));
  assert.equal(transport.take(), ["close", "connect"]);
});

test("a leader that stays one keeps its graph", () => {
  const { detector } = start();
  detector.changeRole("leader");
  detector.detect(0, edge(1, 2));
  detector.changeRole("leader");
  assert.is(detector.edges, 1);
});

test("TTL follows the options", () => {
  const { detector } = start();
  detector.setOptions({ ...DETECTOR_DEFAULTS, ttlMs: 10 });
  detector.changeRole("leader");
  detector.detect(0, edge(1, 2));
  assert.is(detector.detect(10, edge(2, 1)), undefined);
});

test.run();
