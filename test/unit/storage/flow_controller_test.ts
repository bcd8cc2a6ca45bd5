/** Flow control: its rules as a pure machine, the gate that holds writes, writes of regions under it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type EnginePressure, NO_PRESSURE } from "../../../src/engine/index.js";
import type { Failure } from "../../../src/storage/errors.js";
import { FlowController } from "../../../src/storage/flow_controller.js";
import { FlowGate } from "../../../src/storage/flow_gate.js";
import { bindFlowMetrics, FlowMetrics } from "../../../src/storage/flow_metrics.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakeTimers } from "../../support/fake_timers.js";
import { MetricValues } from "../../support/metric_values.js";

const MIB = 1024 * 1024;
const OPTIONS = {
  enabled: true,
  memtablesMax: 2,
  level0FilesMax: 20,
  pendingCompactionSoftBytes: 1024,
  pendingCompactionHardBytes: 1024 * 1024,
};
const pressed = (pressure: Partial<EnginePressure>): EnginePressure => ({
  ...NO_PRESSURE,
  ...pressure,
});
const FILES = pressed({ level0Files: 21 });

/** A controller that has seen `flow` bytes a second for three ticks. */
function running(flow: number): { controller: FlowController; atMs: number } {
  const controller = new FlowController(OPTIONS);
  let atMs = 0;
  for (let i = 0; i < 3; i++) {
    controller.count(flow);
    atMs += 1000;
    assert.is(controller.tick(NO_PRESSURE, atMs), "none");
  }
  return { controller, atMs };
}

test("without pressure nothing is limited; thresholds themselves are no excess", () => {
  const { controller, atMs } = running(MIB);
  const edge = pressed({ immutableMemtables: 2, level0Files: 20, pendingCompactionBytes: 1023 });
  assert.is(controller.tick(edge, atMs + 1000), "none");
  assert.is(controller.rateLimit, undefined);
  assert.not.ok(controller.refuses());
});

for (const pressure of [FILES, pressed({ immutableMemtables: 3 })]) {
  test(`the limit starts at the usual flow: ${JSON.stringify(pressure)}`, () => {
    const { controller, atMs } = running(MIB);
    assert.is(controller.tick(pressure, atMs + 1000), "init");
    assert.is(controller.rateLimit, MIB);
  });
}

test("no better: slower; better: as it is; in order: faster, and no limit in the end", () => {
  const { controller, atMs: start } = running(MIB);
  let atMs = start;
  const tick = (files: number): string => {
    atMs += 1000;
    return controller.tick(pressed({ level0Files: files }), atMs);
  };
  assert.equal([30, 30, 31, 25, 21].map(tick), ["init", "down", "down", "keep", "keep"]);
  assert.is(controller.rateLimit, MIB * 0.8 * 0.8);
  assert.is(tick(20), "up");
  assert.ok((controller.rateLimit as number) > MIB * 0.64);
  const rest = Array.from({ length: 100 }, () => tick(0));
  assert.is(rest.filter((action) => action === "end").length, 1);
  assert.is(controller.rateLimit, undefined);
});

test("the limit has a floor: writes never stop for memtables or files", () => {
  const { controller, atMs } = running(1);
  for (let i = 1; i < 50; i++) controller.tick(FILES, atMs + i * 1000);
  assert.is(controller.rateLimit, 64 * 1024);
});

test("bytes take their time at the limit, and what would wait too long is not let through", () => {
  const { controller, atMs } = running(MIB);
  const now = atMs + 1000;
  controller.tick(FILES, now);
  assert.is(controller.consume(MIB, now, 5000), 0);
  assert.is(controller.consume(MIB, now, 5000), 1000);
  assert.is(controller.consume(4 * MIB, now, 5000), 2000);
  assert.is(controller.consume(1, now, 5000), undefined);
  assert.is(controller.consume(1, now + 1000, 5000), 5000, "the refused one took nothing");
  assert.is(controller.consume(1, now + 60_000, 5000), 0);
});

test("pending compactions: a share of the writes by the logarithm, all at the hard limit", () => {
  const controller = new FlowController(OPTIONS);
  const refusals = (): number =>
    Array.from({ length: 1000 }, () => controller.refuses()).filter(Boolean).length;
  controller.tick(pressed({ pendingCompactionBytes: 1024 }), 1000);
  assert.is(refusals(), 0);
  controller.tick(pressed({ pendingCompactionBytes: 32 * 1024 }), 2000);
  assert.is(controller.refusedShare, 0.5, "half way by the logarithm");
  assert.is(refusals(), 500);
  controller.tick(pressed({ pendingCompactionBytes: 1024 * 1024 }), 3000);
  assert.is(refusals(), 1000);
  controller.tick(NO_PRESSURE, 4000);
  assert.is(refusals(), 0);
});

interface Gate {
  readonly gate: FlowGate;
  readonly timers: FakeTimers;
  readonly passed: string[];
  readonly held: number[];
  pressure: EnginePressure;
  pass(name: string, bytes: number, frees?: boolean): void;
}

function newGate(options = OPTIONS): Gate {
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const [passed, held]: [string[], number[]] = [[], []];
  const gate = new FlowGate(options, {
    ...{ clock, timers },
    pressure: () => setup.pressure,
    onHeld: (waitedMs) => held.push(waitedMs),
  });
  const reasonOf = ({ error }: Failure): string =>
    error.type === "region" ? error.error.kind : error.type;
  const setup: Gate = {
    ...{ gate, timers, passed, held },
    pressure: NO_PRESSURE,
    pass: (name, bytes, frees = false) => {
      gate.pass(bytes, frees, (refused) => {
        passed.push(refused === undefined ? name : `${name}: ${reasonOf(refused)}`);
      });
    },
  };
  gate.start();
  return setup;
}

test("the gate: held writes go when it is their time, what frees goes at once", () => {
  const setup = newGate();
  const { gate, held, passed, timers } = setup;
  setup.pass("before", MIB);
  assert.equal(passed, ["before"], "in the caller's turn");
  setup.pressure = FILES;
  timers.advance(1000);
  setup.pass("a", MIB);
  setup.pass("b", MIB);
  setup.pass("c", 10 * MIB);
  setup.pass("commit", MIB, true);
  setup.pass("late", 1);
  assert.equal(passed, ["before", "a", "commit", "late: serverIsBusy"]);
  assert.is(gate.waiting, 2);
  timers.advance(999);
  assert.is(gate.waiting, 2);
  timers.advance(1);
  timers.advance(5000);
  assert.equal(passed.slice(4), ["b", "c"]);
  assert.equal(held, [1000, 2000]);
});

test("the gate refuses what waits when the store stops, and its clock stops too", () => {
  const setup = newGate();
  const { gate, passed, timers } = setup;
  setup.pass("before", MIB);
  setup.pressure = FILES;
  timers.advance(1000);
  setup.pass("a", MIB);
  setup.pass("b", MIB);
  gate.close();
  assert.equal(passed, ["before", "a", "b: other"]);
  assert.is(gate.waiting, 0);
  const { fired } = timers;
  timers.advance(60_000);
  assert.is(timers.fired, fired);
});

test("the gate, switched off, lets everything through", () => {
  const setup = newGate({ ...OPTIONS, enabled: false });
  setup.pressure = pressed({ level0Files: 1000, pendingCompactionBytes: MIB * MIB });
  setup.timers.advance(10_000);
  for (const name of ["a", "b"]) setup.pass(name, 100 * MIB);
  assert.equal(setup.passed, ["a", "b"]);
});

test("metrics under TiKV's names", () => {
  const setup = newGate();
  const values = new MetricValues();
  const metrics = new FlowMetrics(values.registry);
  bindFlowMetrics(values.registry, () => setup.gate.state());
  setup.pass("before", MIB);
  setup.pressure = { immutableMemtables: 1, level0Files: 21, pendingCompactionBytes: 32 * 1024 };
  setup.timers.advance(1000);
  metrics.observeHeld(250);
  const found = values.scrape();
  assert.is(found.tikv_scheduler_write_flow, MIB);
  assert.is(found.tikv_scheduler_throttle_flow, MIB);
  assert.is(found.tikv_scheduler_discard_ratio, 5_000_000);
  assert.is(found["tikv_scheduler_throttle_cf default"], 1);
  assert.is(found["tikv_scheduler_memtable default"], 1);
  assert.is(found["tikv_scheduler_l0 default"], 21);
  assert.is(found["tikv_scheduler_pending_compaction_bytes default"], 150_000_000);
  assert.is(found["tikv_scheduler_throttle_action_total default,init"], 1);
  assert.is(found.tikv_scheduler_throttle_duration_seconds, 0.25);
});

test.run();
