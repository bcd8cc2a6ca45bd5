/**
 * A bank whose sum is the same in every snapshot: all kinds of transactions at once, on one store and
 * on three, with splits, leader transfers, clients that die in the middle and a store that ends.
 *
 * @timeout 300
 * @seconds 40
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import type { BeginOptions, TxnClient } from "../../../src/client/index.js";
import type { Cluster } from "../../../src/testing/index.js";
import { Bank } from "../../support/txn_bank.js";
import {
  splitAt,
  startTxnCluster,
  type TxnCluster,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";

const test = suite("txn bank");

const MODES: readonly BeginOptions[] = [
  { onePc: true, asyncCommit: true },
  { onePc: false, asyncCommit: true },
  { onePc: false, asyncCommit: false },
].flatMap((mode) => [
  { ...mode, pessimistic: false },
  { ...mode, pessimistic: true },
]);

/** Rounds of dying clients. */
const ROUNDS_MAX = 10;

interface Load {
  readonly bank: Bank;
  readonly connect: TxnCluster["connect"];
  readonly times: number;
  readonly disturb: () => Promise<void>;
}

/** Works in all modes at once and audits, until all transfers are through. */
async function load({ bank, connect, disturb, times }: Load): Promise<void> {
  const prng = new Prng(7n);
  const clients = await Promise.all(MODES.map(() => connect({ timeoutMs: 60_000 })));
  let isOver = false;
  const audits = (async (): Promise<void> => {
    const auditor = await connect({ timeoutMs: 60_000 });
    while (!isOver) await bank.audit(auditor);
  })();
  const works = MODES.map((mode, i) =>
    bank.work(clients[i] as TxnClient, times, mode, (below) => prng.below(below)),
  );
  const disturbing = disturb();
  await Promise.all(works).finally(() => {
    isOver = true;
  });
  await Promise.all([audits, disturbing]);
}

async function withBank(
  stores: number,
  body: (parts: TxnCluster & { readonly bank: Bank }) => Promise<void>,
): Promise<void> {
  const { cluster, stop } = await startTxnCluster({ stores });
  try {
    await withClients(cluster, async (parts) => {
      const bank = new Bank({ accounts: 8, balance: 100, prefix: "bank/" });
      await bank.open(await parts.connect());
      for (const index of [3, 6]) await splitAt(cluster, bank.account(index));
      await body({ ...parts, bank });
    });
  } finally {
    await stop();
  }
}

/** Moves leaders around. */
async function moveLeaders(cluster: Cluster, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    for (const region of await cluster.regions()) {
      await cluster.transferLeader(region.id, (i + Number(region.id)) % cluster.stores.length);
    }
  }
}

test("one store: every transfer counts once, and no snapshot sees half of one", () =>
  withBank(1, async ({ bank, connect, cluster }) => {
    const disturb = async (): Promise<void> => {
      for (const index of [1, 5, 7]) await splitAt(cluster, bank.account(index));
    };
    await load({ bank, connect, times: 12, disturb });
    assert.equal(await bank.audit(await connect()), bank.expected());
    assert.is(bank.report.undetermined, 0);
    assert.ok(bank.report.committed >= MODES.length * 11, JSON.stringify(bank.report));
  }));

test("clients that die between the phases leave nothing half done", () =>
  withBank(1, async ({ bank, connect }) => {
    const prng = new Prng(11n);
    const die = async (): Promise<void> => {
      for (const mode of MODES) {
        const wire = new Wire();
        wire.before = (command) => {
          if (command !== "Commit" || wire.sent("Commit") < 3) return;
          for (const end of ["Commit", "BatchRollback", "ResolveLock"] as const) wire.lost.add(end);
        };
        const short = {
          timeoutMs: 1000,
          backgroundTimeoutMs: 300,
          closeTimeoutMs: 1,
          managedTtlMs: 1500,
        };
        const dying = await connect(short, wire);
        await bank.work(dying, 3, mode, (below) => prng.below(below));
        await dying.close();
      }
    };
    const disturb = async (): Promise<void> => {
      // A client that the others hold up may not get as far as its last request.
      for (let round = 0; round < ROUNDS_MAX && bank.report.undetermined === 0; round++)
        await die();
    };
    await load({ bank, connect, times: 4, disturb });
    await bank.audit(await connect());
    assert.ok(bank.report.undetermined > 0, JSON.stringify(bank.report));
  }));

test("three stores: leaders move, and one store ends", () =>
  withBank(3, async ({ bank, connect, cluster }) => {
    const disturb = async (): Promise<void> => {
      await moveLeaders(cluster, 2);
      await splitAt(cluster, bank.account(4));
      await cluster.kill(await cluster.leaderOf(bank.account(4)));
    };
    await load({ bank, connect, times: 6, disturb });
    const balances = await bank.audit(await connect());
    if (bank.report.undetermined === 0) assert.equal(balances, bank.expected());
    assert.ok(bank.report.committed >= MODES.length * 4, JSON.stringify(bank.report));
  }));

test.run();
