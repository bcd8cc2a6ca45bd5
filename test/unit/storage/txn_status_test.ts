/** The JSON of /txn: who is under way, and who waits, as of now. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex, utf8 } from "../../../src/base/index.js";
import {
  enc,
  mustOk,
  newDetails,
  prewriteOf,
  put,
  type TxnSetup,
  withTxnRegions,
} from "../../support/txn_regions.js";

interface Page {
  readonly commands: {
    readonly running: number;
    readonly memory_bytes: number;
    readonly oldest: readonly Record<string, unknown>[];
  };
  readonly latches: { readonly held: number; readonly waiting: number };
  readonly deadlocks: { readonly role: string };
  readonly max_ts: string;
}

const pageOf = ({ storage }: TxnSetup): Page => storage.txnStatus() as Page;

function prewrite({ storage, ctx }: TxnSetup, startTs: bigint, key: string) {
  const request = prewriteOf(startTs, [put(key, "v")], { primary: utf8(key) });
  return storage.txn.run<"prewrite">(ctx, request, newDetails());
}

test("commands under way are listed from the oldest on, with what they hold and wait for", () =>
  withTxnRegions(async (setup) => {
    setup.regions.holds = true;
    const first = prewrite(setup, 10n, "k");
    setup.clock.advance(1000);
    const second = prewrite(setup, 20n, "k");
    setup.clock.advance(500);
    const page = pageOf(setup);
    assert.is(page.commands.running, 2);
    assert.ok(page.commands.memory_bytes > 0);
    const shared = { command: "prewrite", region_id: 2, keys: 1 };
    const first_key = toHex(enc("k")).toUpperCase();
    assert.equal(page.commands.oldest, [
      { ...shared, first_key, age_ms: 1500 },
      { ...shared, first_key, age_ms: 500 },
    ]);
    assert.equal(page.latches, { held: 1, waiting: 1 });
    setup.regions.holds = false;
    setup.regions.deliver();
    mustOk(await first);
    await second;
    const after = pageOf(setup);
    assert.equal([after.commands.running, after.commands.memory_bytes], [0, 0]);
    assert.equal(after.commands.oldest, []);
    assert.equal(after.latches, { held: 0, waiting: 0 });
  }));

test("of many commands the oldest are listed, all are counted", () =>
  withTxnRegions(async (setup) => {
    setup.regions.holds = true;
    const all = Array.from({ length: 100 }, (_, i) => prewrite(setup, 10n + BigInt(i), `k${i}`));
    const page = pageOf(setup);
    assert.equal([page.commands.running, page.commands.oldest.length], [100, 64]);
    setup.regions.holds = false;
    setup.regions.deliver();
    await Promise.all(all);
  }));

test("a read moves max_ts, and the store that leads the first region leads detection", () =>
  withTxnRegions(async (setup) => {
    mustOk(await setup.storage.txn.get(setup.ctx, enc("k"), 5000n, newDetails()));
    const page = pageOf(setup);
    assert.equal([page.max_ts, page.deadlocks.role], ["5000", "leader"]);
  }));

test.run();
