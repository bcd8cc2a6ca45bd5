/**
 * Clients that ask for much and read little: what waits for them is bounded, they are closed, and
 * one that reads slowly is not.
 * @timeout 90
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { kvrpcpb } from "../../../src/pb/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { whileServed } from "../../support/control_client.js";
import { FLAG, FRAME, FrameClient, grpcMessage, u32Bytes } from "../../support/h2_frames.js";
import { LogLines } from "../../support/log_lines.js";
import { type Served, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const GET = "/tikvpb.Tikv/RawGet";
const VALUE_BYTES = 1 << 20;
/** SETTINGS_INITIAL_WINDOW_SIZE = 0: the server may send no byte of a body. */
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

async function startWithValue(server: object, logs: LogLines): Promise<Served> {
  const served = await startServed({ clock: REAL_CLOCK, server, logger: logs });
  const value = Buffer.alloc(VALUE_BYTES, 1);
  const put = { context: served.context, key: utf8("large"), value };
  await unary(served.connect(), "RawPut", put);
  return served;
}

function largeGet(served: Served): Buffer {
  const request = { context: served.context, key: utf8("large") };
  return grpcMessage(kvrpcpb.RawGetRequest.encode(request).finish());
}

async function ask(client: FrameClient, first: number, count: number, get: Buffer): Promise<void> {
  for (let at = first; at < first + count; at++) {
    await client.request(1 + 2 * at, GET);
    await client.send(FRAME.DATA, FLAG.END_STREAM, 1 + 2 * at, get);
  }
}

test("a client with a window of zero: refused above the bound, closed when it takes nothing", async () => {
  const logs = new LogLines();
  const served = await startWithValue(
    {
      streamBufferedMaxBytes: VALUE_BYTES,
      connectionBufferedMaxBytes: 8 * VALUE_BYTES,
      slowReaderTimeoutMs: 1000,
    },
    logs,
  );
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port, { settings: NO_WINDOW });
    await ask(client, 0, 9, largeGet(served));
    await within(5000, "nine answers to begin", () => client.of(FRAME.HEADERS).length === 9);
    await ask(client, 9, 100, largeGet(served));
    // A refusal is a response of one header block that also ends its stream.
    const refused = (): number =>
      client.of(FRAME.HEADERS).filter(({ flags }) => (flags & FLAG.END_STREAM) !== 0).length;
    await within(5000, "the others to be refused", () => refused() >= 100);
    assert.is(client.dataBytes, 0);
    await within(5000, "the connection to be closed", () => client.closed);
  });
  const closed = logs.lines.filter(({ message }) => message.includes("does not read responses"));
  assert.is(closed.length, 1);
  assert.ok(Number(closed[0]?.fields.buffered_bytes) > 8 * VALUE_BYTES);
  await served.stop();
});

test("the refusal says how much is not read", async () => {
  const served = await startWithValue(
    { streamBufferedMaxBytes: 1024, connectionBufferedMaxBytes: 1024 },
    new LogLines(),
  );
  const client = served.connect();
  const request = { context: served.context, key: utf8("large") };
  // Sixteen at once: while the first is under way the others come in.
  const results = await Promise.all(
    Array.from({ length: 16 }, () =>
      unary(client, "RawGet", request).then(
        ({ value }) => value.length,
        (error: { code: number; details: string }) => `${error.code} ${error.details}`,
      ),
    ),
  );
  const failures = results.filter((result) => result !== VALUE_BYTES);
  for (const failure of failures)
    assert.match(String(failure), /^8 \d+ bytes of responses are not read$/);
  assert.is((await unary(client, "RawGet", request)).value.length, VALUE_BYTES, "and it heals");
  await served.stop();
});

test("a client that reads slowly, but reads, is not closed", async () => {
  const served = await startWithValue(
    { streamBufferedMaxBytes: 1024, slowReaderTimeoutMs: 400 },
    new LogLines(),
  );
  const client = await FrameClient.open(served.server.port, { settings: NO_WINDOW });
  await ask(client, 0, 1, largeGet(served));
  const piece = 128 * 1024;
  // Ten pieces with a pause of 200 ms each: longer than the limit, never without progress.
  await client.send(FRAME.WINDOW_UPDATE, 0, 0, u32Bytes(64 << 20));
  let given = 0;
  let due = performance.now();
  await within(10_000, "the whole value", async () => {
    if (performance.now() >= due) {
      due = performance.now() + 200;
      given += piece;
      await client.send(FRAME.WINDOW_UPDATE, 0, 1, u32Bytes(piece));
    }
    assert.not(client.closed, `closed after ${client.dataBytes} of ${given} bytes`);
    return client.dataBytes > VALUE_BYTES;
  });
  client.destroy();
  await served.stop();
});

test.run();
