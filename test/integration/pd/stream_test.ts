/** Streams of clients that misbehave: they do not read, they vanish, they open too many. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PromMetrics } from "../../../src/node/metrics.js";
import { pdpb } from "../../../src/pb/index.js";
import {
  PdTestClient,
  startTestPd,
  type TestPd,
  testRegion,
  testStore,
  tsOf,
} from "../../support/pd.js";
import { within } from "../../support/within.js";

const FLOOD = 10_000;

async function requestsSeen(metrics: PromMetrics): Promise<number> {
  const line = /^pd_tso_events\{type="requests"\} (\d+)$/m.exec(await metrics.scrape());
  return Number(line?.[1] ?? 0);
}

/** Returns gRPC messages, each behind its 5-byte head, that `bytes` holds. */
function messagesIn(bytes: Buffer): pdpb.TsoResponse[] {
  const messages: pdpb.TsoResponse[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    messages.push(pdpb.TsoResponse.decode(bytes.subarray(at + 5, at + 5 + length)));
    at += 5 + length;
  }
  return messages;
}

/** A Tso call over node:http2: grpc-js's client is slow with that many messages under way. */
function rawTso(
  pd: TestPd,
  requests: number,
): { session: ClientHttp2Session; call: ClientHttp2Stream } {
  const session = connect(`http://${pd.pd.address}`);
  const call = session.request({
    ":method": "POST",
    ":path": "/pdpb.PD/Tso",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const message = pdpb.TsoRequest.encode({ header: pd.client.header, count: 1 }).finish();
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  call.end(Buffer.concat(Array<Buffer>(requests).fill(frame)));
  return { session, call };
}

test("a Tso client that does not read is not read from; then it gets every answer in order", async () => {
  const metrics = new PromMetrics();
  const pd = await startTestPd({ deps: { metrics } });
  const { session, call } = rawTso(pd, FLOOD);
  let seen = 0;
  await within(20_000, "the stream stands still", async () => {
    const before = seen;
    const until = performance.now() + 300;
    await within(5000, "300 ms", () => performance.now() > until);
    seen = await requestsSeen(metrics);
    return seen > 0 && seen === before;
  });
  assert.ok(seen < FLOOD / 2, `${seen} of ${FLOOD} were served unread`);
  const control = await pd.client.timestamp();
  const chunks: Buffer[] = [];
  for await (const chunk of call) chunks.push(chunk as Buffer);
  session.close();
  const messages = messagesIn(Buffer.concat(chunks));
  assert.is(messages.length, FLOOD);
  let last = 0n;
  let above = 0;
  for (const message of messages) {
    const ts = tsOf(message);
    assert.ok(ts > last, "increasing");
    last = ts;
    if (ts > control) above++;
  }
  assert.ok(above > FLOOD / 2, "the rest was served after the control client");
  await pd.stop();
});

test("clients that vanish in the middle of streams leave nothing behind", async () => {
  const pd = await startTestPd();
  await pd.client.call("Bootstrap", { store: testStore(1n, "h:1"), region: testRegion(1n) });
  for (let round = 0; round < 20; round++) {
    const client = new PdTestClient(pd.pd.address, pd.pd.clusterId);
    for (const method of ["Tso", "QueryRegion", "RegionHeartbeat"] as const) {
      const stream = client.stream(method);
      stream.on("error", () => {});
      stream.write({ header: client.header, count: 1 } as never);
      if (round % 2 === 0) stream.cancel();
    }
    client.close();
  }
  assert.ok((await pd.client.timestamp()) > 0n);
  await pd.stop();
  assert.equal(
    pd.logs.lines.filter((line) => line.level === "error"),
    [],
  );
});

test("streams above the limit of a connection wait or are refused; others are served", async () => {
  const pd = await startTestPd({ limits: { concurrentStreams: 8 } });
  const streams = Array.from({ length: 8 }, () => pd.client.stream("Tso"));
  for (const stream of streams) {
    stream.on("error", () => {});
    stream.write({ header: pd.client.header, count: 1 });
  }
  await Promise.all(
    streams.map((stream) => new Promise((resolve) => stream.once("data", resolve))),
  );
  let ninth = "waits";
  const extra = pd.client.call("IsBootstrapped", {}).then(
    () => {
      ninth = "answered";
    },
    () => {
      ninth = "refused";
    },
  );
  const other = new PdTestClient(pd.pd.address, pd.pd.clusterId);
  assert.not.ok((await other.call("IsBootstrapped", {})).bootstrapped);
  other.close();
  assert.is.not(ninth, "answered", "the ninth stream has no place");
  for (const stream of streams) stream.end();
  await extra;
  await pd.stop();
});

test.run();
