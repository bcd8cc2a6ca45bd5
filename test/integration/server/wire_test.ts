/**
 * Hostile HTTP/2 and gRPC framing on the store's port: each input gets a code and a text (or is
 * closed), and a client on another connection is served all the time.
 * @timeout 90
 */
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import type { Client } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { kvrpcpb } from "../../../src/pb/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { type Served, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

interface Outcome {
  readonly http: number | undefined;
  readonly code: number | undefined;
  readonly message: string;
  readonly reset: number | undefined;
}

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Buffer[];
  readonly end?: boolean;
}

const HEADERS = {
  ":method": "POST",
  ":path": "/tikvpb.Tikv/RawGet",
  "content-type": "application/grpc",
  te: "trailers",
};

/** Opens a bare HTTP/2 session to the server. */
function session(served: Served): ClientHttp2Session {
  const opened = connect(`http://${served.server.address}`);
  opened.on("error", () => {});
  return opened;
}

function send(
  opened: ClientHttp2Session,
  { headers, body = [], end = true }: Sent,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const stream = opened.request({ ...HEADERS, ...headers });
    const seen: Record<string, unknown> = {};
    const take = (from: object): void => {
      Object.assign(seen, from);
    };
    stream.on("response", take);
    stream.on("trailers", take);
    stream.on("data", () => {});
    stream.on("end", () => stream.end());
    stream.on("error", () => {});
    stream.on("close", () => {
      const code = seen["grpc-status"];
      resolve({
        http: seen[":status"] as number | undefined,
        code: code === undefined ? undefined : Number(code),
        message: decodeURI(String(seen["grpc-message"] ?? "")),
        reset: stream.rstCode,
      });
    });
    for (const part of body) stream.write(part);
    if (end) stream.end();
  });
}

function frame(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const out = Buffer.alloc(5 + message.length);
  out[0] = flag;
  out.writeUInt32BE(length, 1);
  out.set(message, 5);
  return out;
}

async function isServed(served: Served, client: Client): Promise<void> {
  const answer = await unary(client, "RawGet", { context: served.context, key: utf8("k") });
  assert.is(answer.notFound, true, "another connection is served");
}

function getRequest(served: Served): Buffer {
  const message = { context: served.context, key: utf8("k") };
  return Buffer.from(kvrpcpb.RawGetRequest.encode(message).finish());
}

test("framing, compression, methods and content types: a code and a text each", async () => {
  const served = await startServed({ server: { receiveMessageMaxBytes: 1 << 20 } });
  const client = served.connect();
  const opened = session(served);
  const get = getRequest(served);
  const bomb = gzipSync(Buffer.alloc(64 << 20));
  const rows: readonly (readonly [string, Sent, number | undefined, RegExp])[] = [
    ["a good one", { body: [frame(get)] }, 0, /OK/],
    ["unknown method", { headers: { ":path": "/tikvpb.Tikv/Nope" } }, 12, /does not implement/],
    ["unknown service", { headers: { ":path": "/x/y" } }, 12, /does not implement/],
    ["no message", {}, 12, /Received no request message/],
    ["two messages", { body: [frame(get), frame(get)] }, 12, /second request message/],
    ["a body that does not decode", { body: [frame(Buffer.from([0x0a, 9]))] }, 3, /cannot decode/],
    ["field 0", { body: [frame(Buffer.from([0x02, 0]))] }, 3, /cannot decode/],
    ["compressed, no encoding", { body: [frame(gzipSync(get), 1)] }, 3, /cannot decode/],
    [
      "unknown encoding",
      { headers: { "grpc-encoding": "br" }, body: [frame(get, 1)] },
      12,
      /unsupported encoding "br"/,
    ],
    ["gzip", { headers: { "grpc-encoding": "gzip" }, body: [frame(gzipSync(get), 1)] }, 0, /OK/],
    [
      "gzip that is not",
      { headers: { "grpc-encoding": "gzip" }, body: [frame(get, 1)] },
      13,
      /Failed to decompress/,
    ],
    [
      "gzip bomb",
      { headers: { "grpc-encoding": "gzip" }, body: [frame(bomb, 1)] },
      8,
      /decompresses to a size larger than 1048576/,
    ],
    ["length over the limit", { body: [frame(get, 0, 1 << 21)] }, 8, /larger than max/],
    ["length 4 GiB", { body: [frame(get, 0, 0xffff_ffff)] }, 8, /larger than max/],
    ["garbage timeout", { headers: { "grpc-timeout": "soon" }, body: [frame(get)] }, 13, /timeout/],
    [
      "a timeout of 99,999,999 hours",
      { headers: { "grpc-timeout": "99999999H" }, body: [frame(get)] },
      0,
      /OK/,
    ],
    [
      "a timeout without unit",
      { headers: { "grpc-timeout": "5" }, body: [frame(get)] },
      13,
      /timeout/,
    ],
    [
      "a header list over the limit",
      { headers: { "x-large": "x".repeat(17_000) }, body: [frame(get)] },
      8,
      /the header list exceeds 16384 bytes/,
    ],
  ];
  for (const [name, sent, code, text] of rows) {
    const outcome = await send(opened, sent);
    assert.is(outcome.code, code, `${name}: ${JSON.stringify(outcome)}`);
    assert.match(outcome.message, text, name);
  }
  const json = await send(opened, { headers: { "content-type": "application/json" } });
  assert.is(json.http, 415);
  const noBody = await send(opened, { headers: { ":method": "GET" } });
  assert.is(noBody.code, 12, "a GET has no message");
  const put = await send(opened, { headers: { ":method": "PUT" }, body: [frame(get)] });
  assert.is(put.code, 0, "grpc-js does not look at the method (README, Known)");
  const short = await send(opened, { body: [frame(get, 0, get.length + 10)] });
  assert.is(short.code, 12, "a message that is cut by the half-close is no message");
  await isServed(served, client);
  opened.destroy();
  await served.stop();
});

test("a request that does not arrive in time is ended", async () => {
  const served = await startServed({
    clock: REAL_CLOCK,
    server: { requestTimeoutMs: 200 },
  });
  const opened = session(served);
  const get = frame(getRequest(served));
  const outcomes = await Promise.all([
    send(opened, { body: [get.subarray(0, 7)], end: false }),
    send(opened, { end: false }),
    send(opened, { body: [get] }),
  ]);
  assert.equal(
    outcomes.map(({ code }) => code),
    [4, 4, 0],
  );
  assert.match(outcomes[0]?.message ?? "", /did not arrive in time/);
  opened.destroy();
  await served.stop();
});

test("a flood of resets closes its connection; others are served", async () => {
  const served = await startServed({ server: { resetBurst: 100, resetRatePerSecond: 1 } });
  const client = served.connect();
  await isServed(served, client);
  const opened = session(served);
  let closed = false;
  opened.on("close", () => {
    closed = true;
  });
  const get = frame(getRequest(served));
  for (let round = 0; round < 200 && !closed; round++) {
    for (let i = 0; i < 10 && !closed && !opened.destroyed; i++) {
      const stream = opened.request(HEADERS);
      stream.on("error", () => {});
      stream.write(get.subarray(0, 6));
      stream.close(8);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await within(2000, "the flooding connection to be closed", () => closed);
  await isServed(served, client);
  await served.stop();
});

test("streams over the limit of a connection are refused, others wait for nothing", async () => {
  const served = await startServed({ server: { concurrentStreams: 4 } });
  const client = served.connect();
  const opened = session(served);
  await new Promise<void>((resolve) => opened.once("remoteSettings", () => resolve()));
  assert.is(opened.remoteSettings.maxConcurrentStreams, 4);
  await isServed(served, client);
  opened.destroy();
  await served.stop();
});

test("HTTP/1.1, TLS and garbage are closed at once", async () => {
  const served = await startServed();
  const client = served.connect();
  const inputs = [
    Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
    Buffer.alloc(64, 0x5a),
  ];
  for (const input of inputs) {
    const closed = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(served.server.port, "127.0.0.1", () => socket.write(input));
      socket.on("error", () => {});
      socket.on("close", () => resolve(true));
      socket.resume();
    });
    assert.ok(closed);
  }
  await isServed(served, client);
  await served.stop();
});

test("pings every few milliseconds are answered, not punished", async () => {
  const served = await startServed();
  const opened = session(served);
  await new Promise<void>((resolve) => opened.once("remoteSettings", () => resolve()));
  for (let i = 0; i < 50; i++) {
    await new Promise<void>((resolve, reject) => {
      opened.ping((error) => (error === null ? resolve() : reject(error)));
    });
  }
  assert.is(opened.destroyed, false);
  opened.destroy();
  await served.stop();
});

test("health: SERVING, an unknown service, NOT_SERVING while draining", async () => {
  const served = await startServed();
  const opened = session(served);
  const path = "/grpc.health.v1.Health/Check";
  const check = (service: string) => {
    const name = Buffer.from(service);
    const body = service === "" ? [] : [Buffer.from([0x0a, name.length]), name];
    return send(opened, { headers: { ":path": path }, body: [frame(Buffer.concat(body))] });
  };
  assert.is((await check("")).code, 0);
  assert.is((await check("tikvpb.Tikv")).code, 0);
  assert.is((await check("nope")).code, 5);
  opened.destroy();
  await served.stop();
});

test.run();
