/**
 * Hostile bytes on PD's client port: garbage, TLS, floods of HTTP/2 frames, bad gRPC framing. Each
 * is closed or answered with a code, and another client is served all the time.
 * @timeout 60
 */
import { connect } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pdpb, toBigInt } from "../../../src/pb/index.js";
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
import { startTestPd, type TestPd } from "../../support/pd.js";
import { within } from "../../support/within.js";

const MEMBERS = "/pdpb.PD/GetMembers";
const TSO = "/pdpb.PD/Tso";

let pd: TestPd;

test.before(async () => {
  pd = await startTestPd();
});
test.after(() => pd.stop());

async function isServed(): Promise<void> {
  const response = await pd.client.callRaw("pdpb.PD", "GetMembers", {});
  assert.is(toBigInt(response.header?.clusterId ?? 0), pd.pd.clusterId);
  assert.ok((await pd.client.timestamp()) > 0n);
}

const ended = (client: FrameClient): Promise<boolean> =>
  within(5000, "the end of the connection", () => {
    return client.closed || client.goawayCode() !== undefined;
  });

test("TLS, random bytes and half a preface are closed and do no harm", async () => {
  const inputs = [
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
    Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 7919 + 13) & 255)),
    Buffer.from("PRI * HTTP/2.0\r\n\r\nXX"),
  ];
  for (const input of inputs) {
    const closed = new Promise((resolve) => {
      const socket = connect(pd.port, "127.0.0.1", () => socket.write(input));
      socket.on("error", () => {});
      socket.on("close", resolve);
      socket.resume();
    });
    await isServed();
    await closed;
  }
});

const streamId = (at: number): number => 1 + 2 * at;

const FLOODS: readonly (readonly [string, (at: number) => Buffer])[] = [
  [
    "a flood of resets on PD's port",
    (at) =>
      Buffer.concat([
        frameBytes(FRAME.HEADERS, FLAG.END_HEADERS, streamId(at), requestHeaders(TSO)),
        frameBytes(FRAME.RST_STREAM, 0, streamId(at), u32Bytes(H2_ERROR.CANCEL)),
      ]),
  ],
  ["a flood of PING on PD's port", () => frameBytes(FRAME.PING, 0, 0, Buffer.alloc(8))],
  ["a flood of SETTINGS on PD's port", () => frameBytes(FRAME.SETTINGS, 0, 0)],
  [
    "a header block without end on PD's port",
    (at) =>
      at === 0
        ? frameBytes(FRAME.HEADERS, 0, 1, requestHeaders(MEMBERS))
        : frameBytes(FRAME.CONTINUATION, 0, 1),
  ],
];

for (const [name, piece] of FLOODS) {
  test(name, async () => {
    const client = await FrameClient.open(pd.port);
    for (let at = 0; at < 20_000 && !client.closed; at += 100) {
      if (client.goawayCode() !== undefined) break;
      await client.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => piece(at + i))));
      if (at % 2000 === 0) await isServed();
    }
    await ended(client);
    assert.not.equal(client.goawayCode(), 0);
    client.destroy();
    await isServed();
  });
}

test("200 Tso streams cut in the middle of a message leave PD serving", async () => {
  const request = pdpb.TsoRequest.encode({ header: pd.client.header, count: 1 }).finish();
  const message = grpcMessage(request);
  for (let round = 0; round < 200; round++) {
    const client = await FrameClient.open(pd.port);
    await client.request(1, TSO);
    await client.send(FRAME.DATA, 0, 1, message);
    await client.send(FRAME.DATA, 0, 1, message.subarray(0, round % message.length));
    client.destroy();
  }
  await isServed();
});

test("a message of 4 GiB by its length, and one that is no protobuf", async () => {
  const lie = grpcMessage(new Uint8Array(10));
  lie.writeUInt32BE(0xffff_ffff, 1);
  const noProtobuf = grpcMessage(Uint8Array.of(0x0a, 0x7f));
  for (const body of [lie, noProtobuf]) {
    const client = await FrameClient.open(pd.port);
    await client.request(1, MEMBERS);
    await client.send(FRAME.DATA, FLAG.END_STREAM, 1, body);
    await within(2000, "a status", () => client.of(FRAME.HEADERS, 1).length > 0);
    assert.is(client.dataBytes, 0, "no response message");
    client.destroy();
  }
  await isServed();
});

test.run();
