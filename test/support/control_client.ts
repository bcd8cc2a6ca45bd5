/** A well-behaved client that is served all the time while something hostile goes on. */
import * as assert from "uvu/assert";
import { utf8 } from "../../src/base/index.js";
import { type Served, unary } from "./tikv_server.js";
import { within } from "./within.js";

const ANSWERS_MIN = 3;
/** What a test process may grow by during one attack; both sides of it live here. */
const GROWTH_MAX_BYTES = 256 * 1024 * 1024;

/**
 * Runs `attack` beside a client that reads in a loop on a connection of its own. Asserts that each
 * of its requests was answered, at least a few, also after the attack, and that memory is bounded.
 */
export async function whileServed<T>(served: Served, attack: () => Promise<T>): Promise<T> {
  const client = served.connect();
  const request = { context: served.context, key: utf8("no such key") };
  let answers = 0;
  let failure: unknown;
  let isRunning = true;
  const loop = async (): Promise<void> => {
    while (isRunning) {
      const answer = await unary(client, "RawGet", request);
      assert.is(answer.notFound, true);
      answers++;
    }
  };
  const running = loop().catch((error: unknown) => {
    failure = error;
  });
  const before = process.memoryUsage().rss;
  try {
    const result = await attack();
    const after = answers;
    await within(5000, "the control client is served", () => {
      return failure !== undefined || answers >= Math.max(ANSWERS_MIN, after + 1);
    });
    return result;
  } finally {
    isRunning = false;
    await running;
    assert.is(failure, undefined, `control client: ${failure}`);
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < GROWTH_MAX_BYTES, `${grown} bytes more than before`);
  }
}
