/**
 * Commits that do not go as planned: lost answers, fall-backs, splits in the middle, a client that is
 * closed. One real store; answers are lost or changed where a test says so.
 *
 * @timeout 180
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommitUndeterminedError, type TxnClient } from "../../../src/client/index.js";
import { errorpb, fromBigInt } from "../../../src/pb/index.js";
import {
  failure,
  pairs,
  splitAt,
  startTxnCluster,
  type TxnCluster,
  text,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";
import { within } from "../../support/within.js";

const test = suite("txn commit");

let started: Awaited<ReturnType<typeof startTxnCluster>>;
test.before(async () => {
  started = await startTxnCluster();
});
test.after(() => started.stop());

const run = (body: (parts: TxnCluster) => Promise<void>): Promise<void> =>
  withClients(started.cluster, body);

const TWO_PHASE = { onePc: false, asyncCommit: false } as const;
const ASYNC = { onePc: false, asyncCommit: true } as const;
const ONE_PC = { onePc: true, asyncCommit: false } as const;
/** Gives up after two or three requests without an answer. */
const SHORT = { retryBudgetMs: 250, closeTimeoutMs: 500 } as const;

async function read(client: TxnClient, prefix: string): Promise<string[]> {
  return pairs((await client.snapshot()).scan({ start: prefix, end: `${prefix}~` }));
}

for (const [name, mode, command] of [
  ["two phases", TWO_PHASE, "Commit"],
  ["async commit", ASYNC, "Prewrite"],
  ["1PC", ONE_PC, "Prewrite"],
] as const) {
  test(`${name}: an answer that is lost leaves the outcome open, and is not repeated`, () =>
    run(async ({ connect }) => {
      const wire = new Wire();
      const client = await connect(SHORT, wire);
      let runs = 0;
      const transaction = client.transaction(
        async (txn) => {
          runs++;
          await txn.put(`lost/${name}`, "1");
          wire.unanswered.add(command);
        },
        { ...mode, retry: 5 },
      );
      const error = await failure(transaction);
      assert.instance(error, CommitUndeterminedError);
      assert.is(error.code, "RUTILE:Client:CommitUndetermined");
      assert.is(runs, 1);
      assert.is(wire.sent("BatchRollback"), 0, "it may be committed");
      const other = await connect();
      assert.equal(await read(other, `lost/${name}`), [`lost/${name}=1`]);
    }));
}

test("two phases: a prewrite that gets no answer has committed nothing", () =>
  run(async ({ connect }) => {
    const wire = new Wire();
    const client = await connect(SHORT, wire);
    const txn = await client.begin(TWO_PHASE);
    await txn.put("unanswered", "1");
    wire.unanswered.add("Prewrite");
    const error = await failure(txn.commit());
    assert.not.instance(error, CommitUndeterminedError);
    assert.is(txn.state, "rolledBack");
    await within(5000, "rolled back", () => wire.sent("BatchRollback") > 0);
    assert.equal(await read(await connect(), "unanswered"), []);
  }));

test("a retry is told to the store, and finds what the lost request has done", () =>
  run(async ({ connect }) => {
    for (const [name, mode] of Object.entries({ TWO_PHASE, ASYNC, ONE_PC })) {
      const wire = new Wire();
      const client = await connect({}, wire);
      const txn = await client.begin(mode);
      await txn.put(`again/${name}`, "1");
      wire.unanswered.add("Prewrite");
      wire.before = (command) => {
        if (command === "Prewrite" && wire.sent("Prewrite") === 2) wire.unanswered.clear();
      };
      await txn.commit();
      const retries = wire.of("Prewrite").map(({ context }) => context?.isRetryRequest ?? false);
      assert.equal(retries, [false, true], name);
    }
    const names = ["ASYNC", "ONE_PC", "TWO_PHASE"].map((name) => `again/${name}=1`);
    assert.equal(await read(await connect(), "again/"), names);
  }));

test("a commit whose answer is cut off on the way is undetermined, and there", () =>
  run(async ({ connect, cluster }) => {
    const wire = new Wire();
    const client = await connect({ requestTimeoutMs: 300, retryBudgetMs: 250 }, wire);
    const txn = await client.begin(TWO_PHASE);
    await txn.put("cut", "1");
    wire.before = (command) => {
      if (command === "Commit") cluster.cut({ from: 0, to: "clients", oneWay: true });
    };
    try {
      assert.instance(await failure(txn.commit()), CommitUndeterminedError);
    } finally {
      cluster.heal();
    }
    assert.equal(await read(await connect(), "cut"), ["cut=1"]);
  }));

test("a conflict leaves nothing to roll back where the store has refused all keys", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "refused/b");
    const wire = new Wire();
    const client = await connect({}, wire);
    const txn = await client.begin(TWO_PHASE);
    await txn.put("refused/b", "1");
    const both = await client.begin(TWO_PHASE);
    await both.put("refused/a", "2");
    await both.put("refused/b", "2");
    await client.transaction((other) => other.put("refused/b", "0"));
    assert.is((await failure(txn.commit())).code, "KV:Storage:WriteConflict");
    assert.is(wire.sent("BatchRollback"), 0);
    assert.is((await failure(both.commit())).code, "KV:Storage:WriteConflict");
    const rolledBack = wire.of("BatchRollback").flatMap(({ keys }) => keys?.map(text));
    assert.equal(rolledBack, ["refused/a"]);
    assert.equal(await read(client, "refused/"), ["refused/b=0"]);
  }));

test("splits between and within the phases", () =>
  run(async ({ connect, cluster }) => {
    for (const [name, mode] of Object.entries({ TWO_PHASE, ASYNC, ONE_PC })) {
      const prefix = `split/${name}/`;
      const wire = new Wire();
      const client = await connect({}, wire);
      let splits = 0;
      wire.before = async (command) => {
        if (command === "Prewrite" && splits === 0) {
          splits++;
          await splitAt(cluster, `${prefix}3`);
        } else if (command === "Commit" && splits === 1) {
          splits++;
          await splitAt(cluster, `${prefix}6`);
        }
      };
      const keys = Array.from({ length: 9 }, (_, i) => `${prefix}${i}`);
      await client.transaction(async (txn) => {
        for (const key of keys) await txn.put(key, "1");
      }, mode);
      assert.ok(splits > 0);
      const expected = keys.map((key) => `${key}=1`);
      assert.equal(await read(await connect(), prefix), expected);
    }
  }));

test("a transaction that could be 1PC is not when a split takes its keys apart", () =>
  run(async ({ connect, cluster }) => {
    const wire = new Wire();
    const client = await connect({}, wire);
    const txn = await client.begin(ONE_PC);
    await txn.put("apart/a", "1");
    await txn.put("apart/b", "1");
    await (await client.snapshot()).get("apart/a");
    await splitAt(cluster, "apart/b");
    await txn.commit();
    const tried = wire.of("Prewrite").map(({ tryOnePc }) => tryOnePc);
    assert.is(tried[0], true);
    assert.equal(tried.slice(-2), [false, false]);
    assert.equal(await read(client, "apart/"), ["apart/a=1", "apart/b=1"]);
  }));

test("keys of two regions are no 1PC from the beginning, and cost no timestamp for it", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "two/b");
    const wire = new Wire();
    const client = await connect({}, wire);
    const triedWith = async (key: string): Promise<boolean[]> => {
      const sent = wire.sent("Prewrite");
      const txn = await client.begin(ONE_PC);
      await txn.put("two/a", "1");
      await txn.put(key, "1");
      await txn.commit();
      return wire
        .of("Prewrite")
        .flatMap(({ tryOnePc }, i) => (i < sent ? [] : [tryOnePc ?? false]));
    };
    assert.ok((await triedWith("two/aa")).every((isOnePc) => isOnePc));
    const before = wire.timestamps;
    assert.ok((await triedWith("two/b")).every((isOnePc) => !isOnePc));
    assert.is(wire.timestamps - before, 2, "start_ts and commit_ts");
    assert.equal(await read(client, "two/"), ["two/a=1", "two/aa=1", "two/b=1"]);
  }));

test("the outcome that a store does not know is not repeated", () =>
  run(async ({ connect }) => {
    const wire = new Wire();
    const client = await connect({}, wire);
    wire.answer("Commit", (response) => {
      response.regionError = errorpb.Error.decode(
        errorpb.Error.encode({ undeterminedResult: {} }).finish(),
      );
    });
    const txn = await client.begin(TWO_PHASE);
    await txn.put("unknown", "1");
    assert.instance(await failure(txn.commit()), CommitUndeterminedError);
    assert.is(wire.sent("Commit"), 1);
  }));

test("a store that answers min_commit_ts 0 gets a second phase", () =>
  run(async ({ connect }) => {
    const wire = new Wire();
    const client = await connect({}, wire);
    wire.answer("Prewrite", (response) => {
      response.minCommitTs = fromBigInt(0n);
    });
    const txn = await client.begin(ASYNC);
    await txn.put("zero", "1");
    await txn.commit();
    assert.is(wire.sent("Commit"), 1);
    assert.is(text(await (await client.snapshot()).get("zero")), "1");
  }));

test("close() waits for the second half of commits, but not for ever", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "close/b");
    for (const isSlow of [true, false]) {
      const wire = new Wire();
      const held: (() => void)[] = [];
      wire.before = async (command) => {
        if (command !== "Commit" || wire.sent("Commit") < 2) return;
        await new Promise<void>((resolve) => held.push(resolve));
      };
      const client = await connect({ closeTimeoutMs: isSlow ? 300 : 20_000 }, wire);
      const txn = await client.begin(TWO_PHASE);
      await txn.put("close/a", `${isSlow}`);
      await txn.put("close/b", `${isSlow}`);
      await txn.commit();
      const began = performance.now();
      const closed = client.close().then(() => performance.now() - began);
      await within(5000, "the secondary is on its way", () => held.length > 0);
      if (isSlow) assert.ok((await closed) >= 290);
      for (const release of held) release();
      await closed;
      const seen = new Wire();
      const other = await connect({}, seen);
      const expected = ["close/a", "close/b"].map((key) => `${key}=${isSlow}`);
      assert.equal(await read(other, "close/"), expected);
      assert.is(seen.sent("CheckTxnStatus"), isSlow ? 1 : 0, `slow: ${isSlow}`);
    }
  }));

// The last one: max_ts stays ahead of PD's clock for a while, and commits in one phase with it.
test("a reader of the future makes async commit and 1PC fall back", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const ahead = await client.snapshot((await client.timestamp()) + (10_000n << 18n));
    for (const name of ["ASYNC", "ONE_PC"]) await ahead.get(`ahead/${name}`);
    for (const [name, mode] of Object.entries({ ASYNC, ONE_PC })) {
      const wire = new Wire();
      const writer = await connect({}, wire);
      const txn = await writer.begin(mode);
      await txn.put(`ahead/${name}`, "1");
      await txn.commit();
      assert.ok(wire.sent("Commit") > 0, `${name} needed a second phase`);
      assert.is(text(await (await client.snapshot()).get(`ahead/${name}`)), "1");
    }
  }));

test.run();
