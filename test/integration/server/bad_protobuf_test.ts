/**
 * Request bodies that are no good protobuf, as unary calls and inside BatchCommands: refused with
 * INVALID_ARGUMENT, or read as the specification says; other streams are served.
 * @timeout 60
 */
import type { Client, ServiceError } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, tikvpb } from "../../../src/pb/index.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** Returns a length-delimited field. */
function field(tag: number, payload: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let left = payload.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return concatBytes(Uint8Array.of(tag, ...length), payload);
}

/** Bytes put behind a good RawGetRequest for "k", and the value of that key or a refusal. */
const ROWS: readonly (readonly [string, Uint8Array, "value" | "none" | "refused"])[] = [
  ["a varint that is cut", hex("28 80"), "refused"],
  ["a length past the end", hex("12 7f 61"), "refused"],
  ["a length of 4 GiB", hex("12 ffffffff0f"), "refused"],
  ["a group that never ends", hex("4b"), "refused"],
  ["field 0", hex("02 00"), "refused"],
  ["wire type 6", hex("4e 00"), "refused"],
  ["wire type 7", hex("4f 00"), "refused"],
  ["10,000 nested groups", concatBytes(Buffer.alloc(10_000, 0x4b)), "refused"],
  ["text that is no UTF-8", hex("1a 02 c328"), "refused"],
  ["an unknown field of 1 MiB", field(0x7a, new Uint8Array(1 << 20)), "value"],
  ["a wrong wire type for a known field", hex("10 05"), "value"],
  ["a key given twice: the last counts", hex("12 01 7a"), "none"],
];

async function servedWithKey(): Promise<{ served: Served; client: Client; body: Uint8Array }> {
  const served = await startServed();
  const client = served.connect();
  const request = { context: served.context, key: utf8("k") };
  await unary(client, "RawPut", { ...request, value: utf8("v") });
  return { served, client, body: kvrpcpb.RawGetRequest.encode(request).finish() };
}

function rawUnary(client: Client, path: string, bytes: Uint8Array): Promise<Buffer | ServiceError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (message: Uint8Array) => Buffer.from(message),
      (message: Buffer) => message,
      bytes,
      (error, response) => resolve(error ?? (response as Buffer)),
    );
  });
}

/** A BatchCommands message with one RawGet (field 13 of the oneof) of `body` and id 1. */
function batched(body: Uint8Array): Uint8Array {
  return concatBytes(field(0x0a, field(0x6a, body)), Uint8Array.of(0x12, 1, 1));
}

for (const [name, tail, expected] of ROWS) {
  test(name, async () => {
    const { served, client, body } = await servedWithKey();
    const bytes = concatBytes(body, tail);
    const single = await rawUnary(client, "/tikvpb.Tikv/RawGet", bytes);
    const batch = new BatchClient(client);
    batch.sendBytes(batched(bytes));
    if (expected === "refused") {
      const ended = (await batch.ended) as ServiceError;
      for (const error of [single as ServiceError, ended]) {
        assert.is(error.code, 3, name);
        assert.match(error.details, /^cannot decode the request/, name);
      }
    } else {
      const value = expected === "value" ? "v" : "";
      assert.is(
        Buffer.from(kvrpcpb.RawGetResponse.decode(single as Buffer).value).toString(),
        value,
      );
      batch.stream.end();
      await batch.ended;
      assert.is(Buffer.from(batch.answers.get(1n)?.RawGet?.value ?? []).toString(), value);
    }
    const again = await unary(client, "RawGet", { context: served.context, key: utf8("k") });
    assert.equal(Buffer.from(again.value), Buffer.from("v"), "the connection serves on");
    await served.stop();
  });
}

test("a varint of 11 bytes is refused in a batch; protobufjs skips it in an unknown field", async () => {
  const { served, client, body } = await servedWithKey();
  const bytes = concatBytes(body, hex("28 8080808080808080808001"));
  const single = (await rawUnary(client, "/tikvpb.Tikv/RawGet", bytes)) as Buffer;
  assert.equal(Buffer.from(kvrpcpb.RawGetResponse.decode(single).value), Buffer.from("v"));
  const batch = new BatchClient(client);
  batch.sendBytes(batched(bytes));
  const ended = await batch.ended;
  assert.is(ended?.code, 3);
  assert.match(ended?.details ?? "", /^cannot decode the request/);
  await served.stop();
});

test("a negative enum number is an API version like no other", async () => {
  const { served, client } = await servedWithKey();
  const context = { ...served.context, apiVersion: -1 as never };
  const key = utf8("k");
  const text = /^Api version in request does not match with TiKV storage, cmd: raw_get/;
  assert.match((await unary(client, "RawGet", { context, key })).error, text);
  const batch = new BatchClient(client);
  const [answer] = await batch.call({ RawGet: { context, key } });
  assert.match(answer?.RawGet?.error ?? "", text);
  await served.stop();
});

test("request ids packed, not packed, and both in one message", async () => {
  const { served, client, body } = await servedWithKey();
  const batch = new BatchClient(client);
  const request = field(0x0a, field(0x6a, body));
  batch.sendBytes(
    concatBytes(request, request, request, request, hex("10 07"), hex("12 02 08 09"), hex("10 0a")),
  );
  batch.stream.end();
  await batch.ended;
  assert.equal([...batch.answers.keys()].sort(), [10n, 7n, 8n, 9n]);
  for (const answer of batch.answers.values()) {
    assert.equal(Buffer.from(answer.RawGet?.value ?? []), Buffer.from("v"));
  }
  await served.stop();
});

test("u64 at its ends: ids of a batch, TTL, region, store and peer ids are not rounded", async () => {
  const served = await startServed({ storage: { apiVersion: 1 } });
  const client = served.connect();
  const { context } = served;
  const max = fromBigInt((1n << 64n) - 1n);
  const key = utf8("k");
  const put = await unary(client, "RawPut", { context, key, value: utf8("v"), ttl: max });
  assert.is(put.error, "");
  const ttl = await unary(client, "RawGetKeyTTL", { context, key });
  assert.is(ttl.notFound, false);
  for (const name of ["regionId", "storeId", "peerId"] as const) {
    const peer = { ...context.peer, ...(name === "storeId" ? { storeId: max } : {}) };
    const lie = {
      ...context,
      ...(name === "regionId" ? { regionId: max } : {}),
      peer: name === "peerId" ? { ...context.peer, id: max } : peer,
    };
    const { regionError } = await unary(client, "RawGet", { context: lie, key });
    assert.match(regionError?.message ?? "", /18446744073709551615/, name);
  }
  const batch = new BatchClient(client);
  const ids = [max, fromBigInt((1n << 53n) + 1n), fromBigInt(1n << 63n)];
  const requests = ids.map(() => ({ RawGet: { context, key } }));
  batch.sendBytes(tikvpb.BatchCommandsRequest.encode({ requests, requestIds: ids }).finish());
  batch.stream.end();
  await batch.ended;
  assert.equal(
    [...batch.answers.keys()].sort((a, b) => (a < b ? -1 : 1)),
    [(1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n],
  );
  await served.stop();
});

test.run();
