/** How many transactions of a TxnClient share one request for timestamps, against a scripted PD. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TxnClient } from "../../../src/client/index.js";
import { FakeCluster } from "../../support/fake_cluster.js";
import { ScriptedPd } from "../../support/scripted_pd.js";

async function withClient(use: (client: TxnClient, pd: ScriptedPd) => Promise<void>) {
  const cluster = new FakeCluster(7n);
  cluster.addresses.set(1, "127.0.0.1:1");
  cluster.bootstrap();
  const pd = await ScriptedPd.start(cluster);
  const client = await TxnClient.connect({ pdEndpoints: [pd.address] });
  try {
    await use(client, pd);
  } finally {
    await client.close();
    pd.stop();
  }
}

/** Begins a transaction and gives it up; nothing was written, so no store is asked. */
async function beginOne(client: TxnClient): Promise<bigint> {
  const txn = await client.begin();
  await txn.rollback();
  return txn.startTs;
}

test("transactions that begin in one turn share a request", () =>
  withClient(async (client, pd) => {
    const before = pd.tsoMessages;
    const begun = await Promise.all(Array.from({ length: 1000 }, () => beginOne(client)));
    assert.is(new Set(begun).size, 1000, "each has its own timestamp");
    assert.equal(
      begun,
      [...begun].sort((a, b) => (a < b ? -1 : 1)),
      "in the order of the calls",
    );
    const messages = pd.tsoMessages - before;
    assert.ok(messages <= 2, `${messages} messages for 1000 transactions`);
  }));

test("100 clients' loops share requests; what is under way does not hold up the rest", () =>
  withClient(async (client, pd) => {
    const before = pd.tsoMessages;
    const seen = new Set<bigint>();
    const loop = async (): Promise<void> => {
      let last = 0n;
      for (let i = 0; i < 20; i++) {
        const startTs = await beginOne(client);
        assert.ok(startTs > last, "a later transaction has a later timestamp");
        last = startTs;
        seen.add(startTs);
      }
    };
    await Promise.all(Array.from({ length: 100 }, loop));
    assert.is(seen.size, 2000);
    const messages = pd.tsoMessages - before;
    assert.ok(messages * 10 <= 2000, `${messages} messages for 2000 transactions`);
    assert.ok(messages >= 20, "a transaction waits for no more than its own round trip");
  }));

test("one transaction at a time: a request each, none is waited for in vain", () =>
  withClient(async (client, pd) => {
    const before = pd.tsoMessages;
    for (let i = 0; i < 10; i++) await beginOne(client);
    assert.is(pd.tsoMessages - before, 10);
  }));

test.run();
