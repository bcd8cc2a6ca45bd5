/** Client programs that die or falter: which of their requests come, and when. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { err, Prng } from "../../../src/base/index.js";
import type { CommandName } from "../../../src/client/commands.js";
import type { StoreRpc } from "../../../src/client/ports.js";
import { SimHost } from "../../sim/host.js";
import { SimLoop } from "../../sim/loop.js";
import type { Frailty } from "../../sim/txn/access.js";
import { frailRpc } from "../../sim/txn/frail.js";

const SECOND_US = 1_000_000;

/** Sends commands one after the other; returns those that reached a store, with their times in µs. */
async function sentBy(frailty: Frailty, commands: readonly CommandName[]): Promise<string[]> {
  const loop = new SimLoop();
  const host = new SimHost("c1", loop, new Prng(1n));
  host.start();
  const seen: string[] = [];
  const refusal = err({ kind: "unreachable", message: "down", sent: false } as const);
  const rpc: StoreRpc = {
    send: async (_address, command) => {
      seen.push(`${command} ${loop.nowUs}`);
      return refusal;
    },
    close: () => undefined,
  };
  const frail = frailRpc(rpc, frailty, host, new Prng(3n));
  let answers = 0;
  const all = async (): Promise<void> => {
    for (const command of commands) {
      await frail.send("1", command, {}, 100);
      answers++;
    }
  };
  host.afterUs(0, () => void all());
  await loop.run(100 * SECOND_US, () => undefined);
  assert.is(answers, commands.length, "each request is answered, or not in time");
  return seen;
}

test("a client that dies sends nothing behind its last step, no rollback either", async () => {
  const commands = ["Prewrite", "Get", "Commit", "Prewrite", "BatchRollback"] as const;
  assert.equal(await sentBy({ kind: "dies", requests: 2 }, commands), [
    "Prewrite 0",
    "Get 0",
    "Commit 0",
  ]);
});

test("a client that falters sends some steps late, all else at once, no heartbeats", async () => {
  const steps = Array<CommandName>(20).fill("Prewrite");
  const seen = await sentBy({ kind: "falters", lateMaxUs: SECOND_US }, steps);
  assert.is(seen.length, steps.length);
  const times = [0, ...seen.map((line) => Number(line.split(" ")[1]))];
  const late = seen.filter((_, i) => (times[i + 1] as number) > (times[i] as number));
  assert.ok(late.length > 4 && late.length < 16, `${late.length} late`);
  const others = await sentBy({ kind: "falters", lateMaxUs: SECOND_US }, ["Get", "TxnHeartBeat"]);
  assert.equal(others, ["Get 0"]);
});

test.run();
