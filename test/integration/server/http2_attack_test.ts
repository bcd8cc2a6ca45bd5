/**
 * HTTP/2 frames that no client library sends, written by hand: each ends in an error code or in the
 * closing of its connection, while another client is served and memory stays bounded.
 * @timeout 300
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, tikvpb } from "../../../src/pb/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { whileServed } from "../../support/control_client.js";
import {
  FLAG,
  FRAME,
  FrameClient,
  frameBytes,
  grpcMessage,
  H2_ERROR,
  requestHeaders,
  u32Bytes,
} from "../../support/h2_frames.js";
import { type Served, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const GET = "/tikvpb.Tikv/RawGet";
const BATCH = "/tikvpb.Tikv/BatchCommands";
const FRAME_SIZE = [6];
const COMPRESSION = [9];
const PROTOCOL = [H2_ERROR.PROTOCOL_ERROR];
/** nghttp2 names a flood INTERNAL_ERROR, and where a later frame meets the end, as it sees that. */
const FLOOD = [2, H2_ERROR.PROTOCOL_ERROR, H2_ERROR.ENHANCE_YOUR_CALM];

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function getMessage(served: Served): Buffer {
  const message = { context: served.context, key: utf8("k") };
  return grpcMessage(kvrpcpb.RawGetRequest.encode(message).finish());
}

/** Writes `count` pieces, 100 a turn, until the server ends the connection. */
async function flood(
  client: FrameClient,
  count: number,
  piece: (at: number) => Buffer,
): Promise<void> {
  for (let at = 0; at < count && !client.closed && client.goawayCode() === undefined; at += 100) {
    await client.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => piece(at + i))));
    await tick();
  }
}

const streamId = (at: number): number => 1 + 2 * at;
const headers = (stream: number): Buffer =>
  frameBytes(FRAME.HEADERS, FLAG.END_HEADERS, stream, requestHeaders(GET));

/** Name, attack, the GOAWAY codes with one of which the connection ends. */
type Attack = readonly [
  string,
  (client: FrameClient, get: Buffer) => Promise<void>,
  readonly number[],
];

const FATAL: readonly Attack[] = [
  [
    "rapid reset: 20,000 HEADERS with RST_STREAM",
    (client) =>
      flood(client, 20_000, (at) => {
        const reset = frameBytes(FRAME.RST_STREAM, 0, streamId(at), u32Bytes(H2_ERROR.CANCEL));
        return Buffer.concat([headers(streamId(at)), reset]);
      }),
    FLOOD,
  ],
  [
    "made you reset: WINDOW_UPDATE of 0 on each new stream",
    (client) =>
      flood(client, 20_000, (at) => {
        const update = frameBytes(FRAME.WINDOW_UPDATE, 0, streamId(at), u32Bytes(0));
        return Buffer.concat([headers(streamId(at)), update]);
      }),
    FLOOD,
  ],
  [
    "made you reset: WINDOW_UPDATE over 2^31 - 1 on each new stream",
    (client) =>
      flood(client, 20_000, (at) => {
        const update = frameBytes(FRAME.WINDOW_UPDATE, 0, streamId(at), u32Bytes(0x7fff_ffff));
        return Buffer.concat([headers(streamId(at)), update]);
      }),
    [...FLOOD, H2_ERROR.FLOW_CONTROL_ERROR],
  ],
  [
    "made you reset: DATA after END_STREAM",
    (client, get) =>
      flood(client, 20_000, (at) => {
        const data = frameBytes(FRAME.DATA, FLAG.END_STREAM, streamId(at), get);
        return Buffer.concat([headers(streamId(at)), data, data]);
      }),
    [...FLOOD, H2_ERROR.STREAM_CLOSED],
  ],
  [
    "made you reset: a stream that depends on itself",
    (client) =>
      flood(client, 20_000, (at) => {
        const self = Buffer.concat([u32Bytes(streamId(at)), Buffer.from([1])]);
        const priority = frameBytes(FRAME.PRIORITY, 0, streamId(at), self);
        return Buffer.concat([headers(streamId(at)), priority]);
      }),
    PROTOCOL,
  ],
  [
    "WINDOW_UPDATE over 2^31 - 1 on the connection",
    (client) => client.send(FRAME.WINDOW_UPDATE, 0, 0, u32Bytes(0x7fff_ffff)),
    [...FLOOD, H2_ERROR.FLOW_CONTROL_ERROR],
  ],
  [
    "CONTINUATION flood: a header block that never ends, in empty pieces",
    async (client) => {
      await client.send(FRAME.HEADERS, 0, 1, requestHeaders(GET));
      await flood(client, 5000, () => frameBytes(FRAME.CONTINUATION, 0, 1));
    },
    FLOOD,
  ],
  [
    "CONTINUATION flood: a header block that never ends, in large pieces",
    async (client) => {
      await client.send(FRAME.HEADERS, 0, 1, requestHeaders(GET));
      const piece = requestHeaders(GET, { "x-large": "x".repeat(15_000) });
      await flood(client, 1000, () => frameBytes(FRAME.CONTINUATION, 0, 1, piece));
    },
    FLOOD,
  ],
  [
    "PING flood",
    (client) => flood(client, 50_000, () => frameBytes(FRAME.PING, 0, 0, Buffer.alloc(8))),
    FLOOD,
  ],
  [
    "SETTINGS flood",
    (client) => flood(client, 50_000, () => frameBytes(FRAME.SETTINGS, 0, 0)),
    FLOOD,
  ],
  [
    "SETTINGS with a thousand entries",
    (client) => {
      const entry = Buffer.from([0, 3, 0, 0, 0, 1]);
      return client.send(FRAME.SETTINGS, 0, 0, Buffer.concat(Array(1000).fill(entry)));
    },
    FLOOD,
  ],
  [
    "empty DATA flood on a stream that stays open",
    async (client) => {
      await client.request(1, GET);
      await flood(client, 50_000, () => frameBytes(FRAME.DATA, 0, 1));
    },
    FLOOD,
  ],
  [
    "a frame length of 16 MiB",
    (client) => client.write(frameBytes(FRAME.DATA, 0, 1, Buffer.alloc(10), 0xff_ffff)),
    FRAME_SIZE,
  ],
  [
    "DATA on a stream that was never opened",
    (client) => client.send(FRAME.DATA, 0, 99, Buffer.alloc(10)),
    PROTOCOL,
  ],
  ["a stream with an even id", (client) => client.request(2, GET), FLOOD],
  [
    "a header block that is no HPACK",
    (client) => client.send(FRAME.HEADERS, FLAG.END_HEADERS, 1, Buffer.from("ffffffffff7f", "hex")),
    COMPRESSION,
  ],
  [
    "an HPACK index far outside of the table",
    (client) => client.send(FRAME.HEADERS, FLAG.END_HEADERS, 1, Buffer.from("ffff7f", "hex")),
    COMPRESSION,
  ],
  [
    "noise behind a right preface",
    (client) =>
      client.write(
        Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 7919 + (i >> 3)) & 255)),
      ),
    [...FLOOD, ...FRAME_SIZE],
  ],
];

let served: Served;

test.before(async () => {
  served = await startServed({ clock: REAL_CLOCK });
});
test.after(() => served.stop());

for (const [name, attack, codes] of FATAL) {
  test(name, async () => {
    await whileServed(served, async () => {
      const client = await FrameClient.open(served.server.port);
      await attack(client, getMessage(served));
      await within(5000, "the connection to be ended", () => {
        return client.closed || client.goawayCode() !== undefined;
      });
      const code = client.goawayCode();
      assert.ok(code === undefined || codes.includes(code), `GOAWAY with ${code}`);
      client.destroy();
    });
    await within(2000, "no request of it is left", () => served.server.counters.inflight === 0);
  });
}

test("PING flood whose answers are never read", async () => {
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port, { silent: true });
    client.pause(true);
    const pings = Buffer.concat(
      Array(1000).fill(frameBytes(FRAME.PING, 0, 0, Buffer.alloc(8))) as Buffer[],
    );
    let writing: Promise<void> | undefined;
    for (let i = 0; i < 500 && !client.closed; i++) {
      writing ??= client.write(pings).then(() => {
        writing = undefined;
      });
      await Promise.race([writing, tick()]);
    }
    client.pause(false);
    await within(5000, "the connection to be closed", () => client.closed);
  });
});

test("PRIORITY flood on idle streams costs nothing but its bytes", async () => {
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port);
    const parent = Buffer.concat([u32Bytes(0), Buffer.from([1])]);
    await flood(client, 50_000, (at) => frameBytes(FRAME.PRIORITY, 0, streamId(at), parent));
    // Newer nghttp2 counts such frames too, and ends the connection.
    const code = client.goawayCode();
    assert.ok(code === undefined || code === H2_ERROR.ENHANCE_YOUR_CALM, `GOAWAY with ${code}`);
    client.destroy();
  });
});

test("a frame of an unknown type is skipped, as HTTP/2 says", async () => {
  const client = await FrameClient.open(served.server.port);
  await client.send(0x77, 0xff, 0x7fff_ffff, Buffer.alloc(100, 1));
  await client.request(1, GET);
  await client.send(FRAME.DATA, FLAG.END_STREAM, 1, getMessage(served));
  await within(2000, "the answer", () => client.dataBytes > 0);
  client.destroy();
});

function streams(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, at) => headers(streamId(at))));
}

test("before SETTINGS are agreed the 1,025th stream is refused, the others stay", async () => {
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port, { silent: true });
    await client.write(streams(1025));
    const last = streamId(1024);
    await within(5000, "a refusal", () => client.resetCode(last) !== undefined);
    assert.is(client.resetCode(last), H2_ERROR.REFUSED_STREAM);
    assert.is(client.of(FRAME.RST_STREAM).length, 1);
    await client.send(FRAME.DATA, FLAG.END_STREAM, 1, getMessage(served));
    await within(2000, "an answer on the first stream", () => client.dataBytes > 0);
    client.destroy();
  });
});

test("a client that ignores the agreed limit of streams loses its connection", async () => {
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port);
    await within(2000, "SETTINGS", () => client.of(FRAME.SETTINGS).length > 1);
    await client.write(streams(1025));
    await within(5000, "the end", () => client.closed || client.goawayCode() !== undefined);
  });
});

test("10,000 headers are refused with their stream", async () => {
  const client = await FrameClient.open(served.server.port);
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`x${i}`, "y"]));
  const block = requestHeaders(GET, many);
  const size = 16_000;
  for (let at = 0; at < block.length; at += size) {
    const last = at + size >= block.length ? FLAG.END_HEADERS : 0;
    const type = at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION;
    await client.send(type, last, 1, block.subarray(at, at + size));
  }
  await within(5000, "the refusal", () => {
    return client.closed || client.goawayCode() !== undefined || client.resetCode(1) !== undefined;
  });
  if (client.resetCode(1) !== undefined) assert.is(client.resetCode(1), H2_ERROR.ENHANCE_YOUR_CALM);
  client.destroy();
});

test("half a message, then RST_STREAM: 500 times on one connection", async () => {
  await whileServed(served, async () => {
    const client = await FrameClient.open(served.server.port);
    const get = getMessage(served);
    await flood(client, 500, (at) => {
      const stream = streamId(at);
      const half = frameBytes(FRAME.DATA, 0, stream, get.subarray(0, 1 + (at % (get.length - 1))));
      const reset = frameBytes(FRAME.RST_STREAM, 0, stream, u32Bytes(H2_ERROR.CANCEL));
      return Buffer.concat([headers(stream), half, reset]);
    });
    const last = streamId(1000);
    await client.request(last, GET);
    await client.send(FRAME.DATA, FLAG.END_STREAM, last, get);
    await within(2000, "a whole request is still answered", () => client.dataBytes > 0);
    client.destroy();
  });
});

test("a client that answers no PING is closed after grpc-keepalive-timeout", async () => {
  const strict = await startServed({ server: { keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 } });
  const dead = await FrameClient.open(strict.server.port, { silent: true });
  await within(5000, "the connection to be closed", () => dead.closed);
  assert.is(dead.of(FRAME.PING).length, 1);
  await strict.stop();
});

test("1,000 connections that end in a GOAWAY leave nothing behind", async () => {
  const attack = async (): Promise<void> => {
    const client = await FrameClient.open(served.server.port);
    await client.send(FRAME.WINDOW_UPDATE, 0, 0, u32Bytes(0x7fff_ffff));
    await within(5000, "GOAWAY", () => client.closed || client.goawayCode() !== undefined);
    client.destroy();
  };
  const rounds = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await Promise.all(Array.from({ length: 20 }, attack));
  };
  await rounds(5);
  const before = process.memoryUsage().rss;
  await rounds(50);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 64 << 20, `${grown} bytes after 1,000 connections`);
});

test("clients killed in the middle of batch streams, 200 times", async () => {
  const rejected: unknown[] = [];
  const note = (reason: unknown): void => void rejected.push(reason);
  process.on("unhandledRejection", note);
  const { context } = served;
  const requests = Array.from({ length: 100 }, (_, i) => ({
    RawPut: { context, key: utf8(`killed${i}`), value: Buffer.alloc(100) },
  }));
  const requestIds = requests.map((_, i) => fromBigInt(BigInt(i)));
  const message = grpcMessage(
    tikvpb.BatchCommandsRequest.encode({ requests, requestIds }).finish(),
  );
  const pieces = [message.subarray(0, 10_000), message.subarray(10_000)].filter((p) => p.length);
  await whileServed(served, async () => {
    for (let round = 0; round < 200; round++) {
      const client = await FrameClient.open(served.server.port);
      await client.request(1, BATCH);
      for (const piece of pieces) await client.send(FRAME.DATA, 0, 1, piece);
      // Cut within the next message, at another place each time.
      await client.send(FRAME.DATA, 0, 1, message.subarray(0, (round * 37) % 9000));
      if (round % 2 === 0) await tick();
      client.destroy();
    }
  });
  const { counters } = served.server;
  await within(5000, "nothing to be left", () => counters.inflight + counters.streams === 0);
  await tick();
  process.off("unhandledRejection", note);
  assert.equal(rejected, []);
  const answer = await unary(served.connect(), "RawGet", { context, key: utf8("killed99") });
  assert.is(answer.value.length, 100, "what was decoded was written");
});

test.run();
