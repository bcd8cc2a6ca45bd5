/**
 * Seeded schedules of sends, events, closes, registrations and rounds, also from inside turns and
 * round ends, against a dumb model: each FSM gets what it accepted, once and in order, nothing after
 * it was dropped; whatever is due gets a turn within a bound, hot FSMs beside it or not.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type HandleResult, KEEP_PROCESSING, stopAt } from "../../../src/batch/index.js";
import {
  BatchFixture,
  TestFsm,
  type TestSlot,
  takeAll,
  takeOne,
} from "../../support/batch_fixture.js";

const SCHEDULES = 3000;
const STEPS = 80;
/** Long ones, in which as many FSMs as a batch holds never leave by themselves. */
const HOT_SCHEDULES = 100;
const HOT_STEPS = 800;
const HOT_FSMS = 3;
const ADDRESSES = 6;
const CAPACITY = 4;
const RESCHEDULE_ROUNDS = 5;
/** A place in a batch of hot FSMs frees up every RESCHEDULE_ROUNDS; 3: the lanes' cycle. */
const DUE_ROUNDS_MAX = 3 * (ADDRESSES + 2) * (RESCHEDULE_ROUNDS + 2);

/** What the model knows of one FSM. */
interface Expected {
  readonly accepted: number[];
  /** Round in which it became due; undefined: nobody needs to wake it. */
  dueSince: number | undefined;
  /** An event came after its last turn began. */
  resumed: boolean;
  lastTurn: number;
  isDropped: boolean;
  isClosed: boolean;
}

/** mulberry32: small, seeded, good enough to pick actions. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

class Explorer {
  readonly #random: (below: number) => number;
  readonly #fixture: BatchFixture;
  readonly #model = new Map<TestFsm, Expected>();
  readonly #at: TestFsm[] = [];
  readonly #hot: boolean;
  #round = 0;
  #message = 0;
  #draining = false;

  constructor(seed: number, hot: boolean) {
    this.#random = randomOf(seed);
    this.#hot = hot;
    this.#fixture = new BatchFixture({
      maxBatchSize: 2 + this.#random(hot ? 2 : 3),
      messagesPerTick: 1 + this.#random(3),
      notifyCapacity: CAPACITY,
      rescheduleDurationMs: RESCHEDULE_ROUNDS,
    });
    this.#fixture.hooks = {
      begin: () => void this.#round++,
      lightEnd: (batch) => this.#onRoundEnd(batch),
      end: (batch) => this.#onRoundEnd(batch),
    };
    for (let address = 0; address < ADDRESSES; address++) this.#register(address);
  }

  run(): void {
    for (let step = 0; step < (this.#hot ? HOT_STEPS : STEPS); step++) {
      if (this.#chance(2)) this.#poll();
      else this.#act();
    }
    this.#draining = true;
    if (this.#chance(4)) this.#fixture.system.shutdown();
    else this.#drain();
    this.#checkEnd();
  }

  #chance(of: number): boolean {
    return this.#random(of) === 0;
  }

  #register(address: number): void {
    const old = this.#at[address];
    const fsm = new TestFsm(`${address}`, (slot) => this.#turn(slot));
    if (this.#chance(4)) fsm.priority = "low";
    this.#model.set(fsm, {
      accepted: [],
      dueSince: undefined,
      resumed: false,
      lastTurn: -1,
      isDropped: false,
      isClosed: false,
    });
    this.#at[address] = fsm;
    this.#fixture.system.router.register(address, fsm);
    if (old !== undefined) this.#onClosed(old);
  }

  #of(fsm: TestFsm): Expected {
    return this.#model.get(fsm) as Expected;
  }

  #onClosed(fsm: TestFsm): void {
    const expected = this.#of(fsm);
    expected.isClosed = true;
    if (fsm.undelivered !== undefined) expected.isDropped = true;
  }

  /** One random action of the outside world, or of code that runs inside a round. */
  #act(): void {
    const address = this.#random(ADDRESSES);
    const { router } = this.#fixture.system;
    const fsm = this.#at[address] as TestFsm;
    const expected = this.#of(fsm);
    const kind = this.#random(this.#hot ? 18 : 20);
    if (kind < 15) this.#send(address, kind < 11);
    else if (kind < 18) {
      assert.is(router.resume(address), !expected.isClosed);
      if (expected.isClosed) return;
      expected.resumed = true;
      expected.dueSince ??= this.#round;
    } else if (kind < 19) {
      assert.is(router.close(address), !expected.isClosed);
      this.#onClosed(fsm);
    } else this.#register(address);
  }

  #send(address: number, bounded: boolean): void {
    const { router } = this.#fixture.system;
    const fsm = this.#at[address] as TestFsm;
    const expected = this.#of(fsm);
    const message = ++this.#message;
    const result = bounded ? router.send(address, message) : router.forceSend(address, message);
    const waiting = expected.accepted.length - fsm.seen.length;
    if (expected.isClosed) assert.is(result, "notFound");
    else assert.is(result, bounded && waiting >= CAPACITY ? "full" : "sent");
    if (result !== "sent") return;
    expected.accepted.push(message);
    expected.dueSince ??= this.#round;
  }

  #turn(slot: TestSlot): HandleResult {
    const { fsm } = slot;
    const expected = this.#of(fsm);
    this.#fixture.system.assertOwned(fsm);
    assert.is(fsm.undelivered, undefined, "no turn after the drop");
    assert.ok(expected.lastTurn < this.#round, "one turn a round");
    expected.lastTurn = this.#round;
    expected.resumed = false;
    expected.dueSince = undefined;
    const result = this.#draining ? takeAll(slot) : this.#randomTurn(slot);
    const isWoken = result.kind === "keepProcessing" || expected.resumed || fsm.stopped;
    expected.dueSince = isWoken && !(fsm.stopped && slot.pending === 0) ? this.#round : undefined;
    return result;
  }

  #randomTurn(slot: TestSlot): HandleResult {
    const { fsm } = slot;
    for (let take = this.#random(4); take > 0; take--) takeOne(slot);
    while (this.#chance(4)) this.#act();
    if (this.#chance(this.#hot ? 60 : 12)) fsm.priority = fsm.priority === "low" ? "normal" : "low";
    if (!this.#hot && this.#chance(30) && this.#at[Number(fsm.name)] === fsm) {
      this.#fixture.system.router.close(Number(fsm.name));
      this.#onClosed(fsm);
      fsm.stopped = true;
    }
    for (let take = this.#random(3); take > 0; take--) takeOne(slot);
    if (this.#hot && Number(fsm.name) < HOT_FSMS) return KEEP_PROCESSING;
    if (slot.pending === 0) return this.#chance(10) ? KEEP_PROCESSING : stopAt(0, this.#chance(3));
    return this.#chance(2) ? stopAt(slot.pending, this.#chance(3)) : KEEP_PROCESSING;
  }

  #onRoundEnd(batch: readonly TestSlot[]): void {
    assert.is(new Set(batch.map(({ fsm }) => fsm)).size, batch.length, "an FSM is there once");
    for (const { fsm } of batch) this.#fixture.system.assertOwned(fsm);
    if (this.#draining) return;
    while (this.#chance(3)) this.#act();
  }

  #poll(): void {
    const { system } = this.#fixture;
    this.#fixture.nowMs++;
    system.poll();
    for (const [fsm, { dueSince }] of this.#model) {
      if (fsm.undelivered !== undefined || dueSince === undefined) continue;
      if (!system.hasWork) assert.unreachable(`${fsm.name} is due, nothing is ready: lost wake-up`);
      const waited = this.#round - dueSince;
      if (waited > DUE_ROUNDS_MAX) assert.unreachable(`${fsm.name} is due for ${waited} rounds`);
    }
  }

  /** Calm: no more actions; every FSM that is due, and every one with an event, gets served. */
  #drain(): void {
    const dueMax = this.#round + DUE_ROUNDS_MAX;
    while (this.#fixture.system.hasWork) {
      this.#poll();
      assert.ok(this.#round <= dueMax, "calm comes");
    }
    for (const [fsm, { dueSince }] of this.#model) {
      if (fsm.undelivered !== undefined) continue;
      assert.is(dueSince, undefined, `${fsm.name} was not woken`);
    }
    this.#fixture.system.router.broadcast(() => -1);
    this.#fixture.settle();
  }

  #checkEnd(): void {
    for (const [fsm, { accepted, isClosed }] of this.#model) {
      const seen = fsm.seen.filter((message) => message !== -1);
      const undelivered = fsm.undelivered ?? [];
      const got = [...seen, ...undelivered].join();
      if (got !== accepted.join()) assert.is(got, accepted.join(), `${fsm.name}: once, in order`);
      if (isClosed) assert.ok(fsm.undelivered !== undefined, `${fsm.name} was closed and freed`);
    }
  }
}

function explore(schedules: number, hot: boolean): void {
  for (let seed = 1; seed <= schedules; seed++) {
    try {
      new Explorer(seed, hot).run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}

test("every schedule delivers once, in order, to live FSMs", () => explore(SCHEDULES, false));

test("beside hot FSMs that fill a batch, whoever is due is served in bounded rounds", () => {
  explore(HOT_SCHEDULES, true);
});

test.run();
