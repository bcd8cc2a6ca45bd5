/** Rounds: order of the parts, batch size, message cap, hot FSMs, lanes, control, shutdown. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BATCH_CONFIG_DEFAULT, KEEP_PROCESSING, stopAt } from "../../../src/batch/index.js";
import { BatchFixture, takeAll, takeOne } from "../../support/batch_fixture.js";

test("the defaults are TiKV's", () => {
  assert.equal(BATCH_CONFIG_DEFAULT, {
    maxBatchSize: 256,
    messagesPerTick: 4096,
    notifyCapacity: 40_960,
    rescheduleDurationMs: 5000,
    poolSize: 2,
    lowPriorityPoolSize: 1,
  });
  assert.throws(() => new BatchFixture({ maxBatchSize: 0 }), /maxBatchSize is a whole number/);
});

test("a round: begin, control alone first, normal FSMs, light end, end; pause when idle", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  for (const address of [1, 2]) fixture.add(address);
  router.send(2, 1);
  router.send(1, 1);
  router.sendControl(1);
  assert.ok(fixture.system.poll());
  const parts = ["begin normal 256", "control", "2", "1", "light 2,1", "end 2,1", "pause"];
  assert.equal(fixture.log, parts);
  assert.not.ok(fixture.system.poll(), "nothing is left");
});

test("nothing runs between rounds: sending only queues", () => {
  const fixture = new BatchFixture();
  const fsm = fixture.add(1);
  fixture.system.router.send(1, 1);
  fixture.system.router.sendControl(1);
  assert.equal([fsm.turns, fixture.control.turns, fixture.log.length], [0, 0, 0]);
  assert.ok(fixture.system.hasWork);
});

test("the batch fills up to max-batch-size while FSMs are ready, those woken meanwhile too", () => {
  const fixture = new BatchFixture({ maxBatchSize: 3 });
  const { router } = fixture.system;
  const fsms = [1, 2, 3, 4].map((address) => fixture.add(address));
  const first = fsms[0];
  assert.ok(first);
  first.turn = (slot) => {
    for (const address of [2, 3, 4]) router.send(address, 1);
    return takeAll(slot);
  };
  router.send(1, 1);
  fixture.system.poll();
  assert.equal(fixture.log.at(-1), "end 1,2,3");
  fixture.system.poll();
  assert.equal(fixture.log.at(-2), "end 4");
});

test("an FSM takes at most messages-per-tick a round, then stays in the batch", () => {
  const fixture = new BatchFixture({ messagesPerTick: 4 });
  const fsm = fixture.add(1);
  for (let i = 0; i < 10; i++) fixture.system.router.send(1, i);
  const counts = [4, 8, 10];
  for (const count of counts) {
    fixture.system.poll();
    assert.is(fsm.seen.length, count);
  }
  assert.is(fixture.settle(), 0);
});

test("skipEnd leaves before end; the others stay for it", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  for (const address of [1, 2, 3, 4, 5]) {
    const skips = address % 2 === 1;
    fixture.add(address, (slot) => {
      takeAll(slot);
      return stopAt(0, skips);
    });
    router.send(address, 1);
  }
  fixture.hooks = {
    // A message to one that left early schedules it anew; to one still here it is kept for it.
    end: (batch) => {
      if (batch.length === 2 && batch[0]?.fsm.turns === 1) {
        router.send(1, 2);
        router.send(2, 2);
      }
    },
  };
  fixture.system.poll();
  const end = fixture.log.find((line) => line.startsWith("end"));
  assert.equal(end?.slice(4).split(",").sort(), ["2", "4"]);
  fixture.log.length = 0;
  fixture.settle();
  const turns = fixture.log.filter((line) => line.length === 1).sort();
  assert.equal(turns, ["1", "2"]);
});

test("of the hot FSMs every second one queues again after reschedule-duration", () => {
  const fixture = new BatchFixture({ maxBatchSize: 4, rescheduleDurationMs: 100 });
  const { router } = fixture.system;
  for (let address = 1; address <= 4; address++) {
    fixture.add(address, () => KEEP_PROCESSING);
    router.send(address, 1);
  }
  fixture.system.poll();
  const cold = [5, 6, 7].map((address) => fixture.add(address));
  for (const address of [5, 6, 7]) router.send(address, 1);
  fixture.nowMs = 99;
  fixture.system.poll();
  assert.is(fixture.metrics.rescheduled, 0);
  assert.equal(fixture.log.at(-1), "end 1,2,3,4", "no place for the cold ones yet");
  fixture.nowMs = 100;
  fixture.system.poll();
  assert.is(fixture.metrics.rescheduled, 2, "two of four");
  fixture.system.poll();
  assert.equal(
    cold.map(({ seen }) => seen.length),
    [1, 1, 0],
    "their places went to those that waited longest",
  );
  fixture.system.poll();
  assert.is(cold[2]?.seen.length, 1);
});

test("an FSM that changes its priority is moved to the other lane's handler", () => {
  const fixture = new BatchFixture();
  const { router } = fixture.system;
  const fsm = fixture.add(1, (slot) => {
    takeOne(slot);
    slot.fsm.priority = slot.fsm.seen.length === 1 ? "low" : "normal";
    return slot.pending > 0 ? KEEP_PROCESSING : stopAt(0);
  });
  for (const message of [1, 2, 3]) router.send(1, message);
  fixture.settle();
  assert.equal(fsm.seen, [1, 2, 3]);
  const lanes = fixture.log
    .filter((line) => line.startsWith("begin"))
    .map((line) => line.slice(6, 9));
  assert.equal(lanes.slice(0, 3), ["nor", "low", "nor"]);
});

test("the low lane gets its share of rounds beside a busy normal lane", () => {
  const fixture = new BatchFixture({ poolSize: 2, lowPriorityPoolSize: 1 });
  const { router } = fixture.system;
  fixture.add(1, () => KEEP_PROCESSING);
  const low = fixture.add(2, () => KEEP_PROCESSING);
  low.priority = "low";
  router.send(1, 1);
  router.send(2, 1);
  for (let round = 0; round < 30; round++) fixture.system.poll();
  assert.is(low.turns, 10, "one of three");
});

test("the control FSM keeps, waits and wakes like the others", () => {
  const fixture = new BatchFixture({ messagesPerTick: 2 });
  const { router } = fixture.system;
  for (const message of [1, 2, 3]) router.forceSendControl(message);
  assert.is(fixture.settle(), 2);
  assert.equal(fixture.control.seen, [1, 2, 3]);
  fixture.control.turn = (slot) => {
    const result = takeAll(slot);
    if (slot.fsm.turns === 3) router.sendControl(5);
    return result;
  };
  router.sendControl(4);
  fixture.settle();
  assert.equal(fixture.control.seen, [1, 2, 3, 4, 5]);
});

test("the runner gets one callback at a time, and runs until nothing is ready", () => {
  const fixture = new BatchFixture({ messagesPerTick: 1 });
  const fsm = fixture.add(1);
  for (const message of [1, 2, 3]) fixture.system.router.send(1, message);
  for (let rounds = 1; rounds <= 3; rounds++) {
    assert.is(fixture.deferred.length, 1, `before round ${rounds}`);
    fixture.runDeferred();
    assert.is(fsm.seen.length, rounds);
  }
  assert.is(fixture.deferred.length, 0);
  fixture.system.router.send(1, 4);
  assert.is(fixture.deferred.length, 1, "a new message wakes the runner");
  fixture.system.shutdown();
  assert.equal(fsm.seen, [1, 2, 3, 4]);
  fixture.runDeferred();
  assert.is(fixture.deferred.length, 0, "a callback after shutdown does nothing");
});

test("shutdown drains what is ready, hands back the rest, and nothing is accepted after it", () => {
  const fixture = new BatchFixture({ messagesPerTick: 2 });
  const { router } = fixture.system;
  const ready = fixture.add(1);
  const waiting = fixture.add(2, (slot) => stopAt(slot.pending));
  const endless = fixture.add(3, () => KEEP_PROCESSING);
  const idle = fixture.add(4);
  for (const address of [1, 2, 3]) for (const message of [1, 2, 3]) router.send(address, message);
  router.sendControl(1);
  fixture.system.shutdown();
  assert.equal([ready.seen, ready.undelivered], [[1, 2, 3], []]);
  assert.equal(waiting.undelivered, [1, 2, 3]);
  assert.equal(endless.undelivered, [1, 2, 3]);
  assert.equal(idle.undelivered, []);
  assert.equal([fixture.control.seen, fixture.control.undelivered], [[1], []]);
  assert.is(router.send(1, 9), "notFound");
  assert.is(router.sendControl(9), "closed");
  assert.not.ok(fixture.system.hasWork);
  assert.throws(() => fixture.add(5), /after shutdown/);
});

test.run();
