/** Rounds of PD's own GC leader: what is published, and above all when nothing is. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { err, NULL_LOGGER, ok, type Result } from "../../../src/base/index.js";
import { GcLeader } from "../../../src/node/gc_leader.js";
import type { PdGc } from "../../../src/pd/index.js";

const LIFE_MS = 1000;
const ms = (value: number): bigint => BigInt(value) << 18n;

class FakeGc implements PdGc {
  isLedOutside = false;
  isBootstrapped = true;
  nowTs: bigint | undefined = ms(10_000);
  gcSafePoint = 0n;
  barriers: bigint[] = [];
  refusal: string | undefined;
  /** Everything that happened, in order. */
  readonly events: string[] = [];

  async now(): Promise<bigint | undefined> {
    return this.nowTs;
  }

  async state() {
    return { gcSafePoint: this.gcSafePoint, barriers: this.barriers };
  }

  async publish(target: bigint): Promise<Result<bigint, string>> {
    if (this.refusal !== undefined) return err(this.refusal);
    this.events.push(`publish ${target >> 18n}`);
    const reached = this.barriers.reduce((a, b) => (a < b ? a : b), target);
    this.gcSafePoint = reached;
    return ok(reached);
  }
}

interface Locks {
  resolvedLocks: number;
  oldestAlive: bigint | undefined;
  during: () => void;
}

function setUp() {
  const pd = new FakeGc();
  const locks: Locks = { resolvedLocks: 0, oldestAlive: undefined, during: () => undefined };
  const leader = new GcLeader(
    { runIntervalMs: 600_000, lifeTimeMs: LIFE_MS },
    {
      pd,
      resolveLocks: async (safePoint) => {
        pd.events.push(`resolve ${safePoint >> 18n}`);
        locks.during();
        return locks;
      },
      logger: NULL_LOGGER,
    },
  );
  return { pd, locks, leader };
}

test("now minus the life time is published, after the locks below it are resolved", async () => {
  const { leader, pd } = setUp();
  assert.equal(await leader.round(), { kind: "published", safePoint: ms(9000) });
  assert.equal(pd.events, ["resolve 9000", "publish 9000"]);
  assert.equal(await leader.round(), { kind: "nothing" });
  assert.is(pd.events.length, 2);
});

test("the least barrier bounds what is resolved and published", async () => {
  const { leader, pd } = setUp();
  pd.barriers = [ms(8000), ms(5000)];
  assert.equal(await leader.round(), { kind: "published", safePoint: ms(5000) });
  assert.equal(pd.events, ["resolve 5000", "publish 5000"]);
});

test("the oldest live transaction keeps the safe point below its start", async () => {
  const { leader, locks } = setUp();
  locks.oldestAlive = ms(7000);
  assert.equal(await leader.round(), { kind: "published", safePoint: ms(7000) - 1n });
  assert.equal(await leader.round(), { kind: "nothing" });
});

test("a lock that cannot be resolved: nothing is published, the next round tries again", async () => {
  const { leader, locks, pd } = setUp();
  locks.during = () => {
    throw new Error("store 3 does not answer");
  };
  assert.equal(await leader.round(), { kind: "failed", reason: "store 3 does not answer" });
  assert.is(pd.gcSafePoint, 0n);
  locks.during = () => undefined;
  assert.is((await leader.round()).kind, "published");
});

test("an outside leader, also one that comes while locks are resolved: nothing is published", async () => {
  const { leader, locks, pd } = setUp();
  pd.isLedOutside = true;
  assert.equal(await leader.round(), { kind: "off", reason: "outside" });
  assert.equal(pd.events, []);
  pd.isLedOutside = false;
  locks.during = () => {
    pd.isLedOutside = true;
  };
  assert.equal(await leader.round(), { kind: "off", reason: "outside" });
  assert.equal(pd.events, ["resolve 9000"]);
});

test("stopped while locks are resolved: nothing is published", async () => {
  const { leader, locks, pd } = setUp();
  locks.during = () => void leader.stop();
  assert.is((await leader.round()).kind, "off");
  assert.is(pd.gcSafePoint, 0n);
});

test("no bootstrap, no timestamp, a clock below the life time, a refusal: nothing happens", async () => {
  const { leader, pd } = setUp();
  pd.isBootstrapped = false;
  assert.equal(await leader.round(), { kind: "off", reason: "notBootstrapped" });
  pd.isBootstrapped = true;
  pd.nowTs = undefined;
  assert.is((await leader.round()).kind, "failed");
  pd.nowTs = ms(500);
  assert.equal(await leader.round(), { kind: "nothing" });
  pd.nowTs = ms(10_000);
  pd.refusal = "decreasing";
  assert.equal(await leader.round(), { kind: "failed", reason: "decreasing" });
});

test.run();
