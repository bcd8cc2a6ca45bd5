/** `rutile ctl gc`: safe points, barriers and the leader, against a PD. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromBigInt } from "../../../src/pb/index.js";
import { type Ran, runCtl } from "../../support/ctl.js";
import { startTestPd, type TestPd, testRegion, testStore } from "../../support/pd.js";

function ctl(pd: TestPd, ...args: string[]): Promise<Ran> {
  return runCtl("--pd", pd.pd.address, ...args);
}

async function withPd(body: (pd: TestPd) => Promise<void>): Promise<void> {
  const pd = await startTestPd();
  try {
    const store = testStore(1n, "127.0.0.1:1");
    await pd.client.call("Bootstrap", { store, region: testRegion(1n) });
    await body(pd);
  } finally {
    await pd.stop();
  }
}

const TS = 1_700_000_000_000n << 18n;

test("gc shows both safe points with their times, and barriers; barriers are set and deleted", () =>
  withPd(async (pd) => {
    const empty = await ctl(pd, "gc");
    assert.match(empty.out, /^gc_safe_point +0 +- +-\ntxn_safe_point +0 +- +-$/m);
    const set = await ctl(pd, "gc", "barrier-set", "backup", `${TS + 1n}`, "--ttl", "600");
    assert.equal([set.code, set.error], [0, ""]);
    await ctl(pd, "gc", "barrier-set", "forever", `${TS + 2n}`);
    await pd.client.call("AdvanceTxnSafePoint", { target: fromBigInt(TS) });
    await pd.client.call("AdvanceGCSafePoint", { target: fromBigInt(TS) });
    const shown = await ctl(pd, "gc", "state");
    assert.match(shown.out, new RegExp(`gc_safe_point +${TS} +2023-11-14T22:13:20.000Z`));
    assert.match(shown.out, new RegExp(`barrier backup +${TS + 1n} +\\S+ +(600|601|59\\d)$`, "m"));
    assert.match(shown.out, new RegExp(`barrier forever +${TS + 2n} +\\S+ +-$`, "m"));
    assert.is((await ctl(pd, "gc", "barrier-delete", "backup")).code, 0);
    const gone = await ctl(pd, "gc", "barrier-delete", "backup");
    assert.equal([gone.code, gone.error], [1, "error: PD knows no barrier backup"]);
    const behind = await ctl(pd, "gc", "barrier-set", "late", "5");
    assert.match(behind.error, /^error: PD: .*ErrGCBarrierTSBehindTxnSafePoint/);
    assert.match((await ctl(pd, "gc", "barrier-set", "x", "soon")).error, /not a timestamp: soon/);
  }));

test("gc leader shows who leads, and changes it", () =>
  withPd(async (pd) => {
    assert.match((await ctl(pd, "gc", "leader")).out, /builtin/);
    assert.is((await ctl(pd, "gc", "leader", "external")).code, 0);
    assert.match((await ctl(pd, "gc", "leader")).out, /external/);
    assert.is((await ctl(pd, "gc", "leader", "nobody")).code, 1);
  }));

test.run();
