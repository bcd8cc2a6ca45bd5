/** Hostile and odd bytes: decoders answer with an exception or with a message, and stay alive. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  eraftpb,
  kvrpcpb,
  methodsOf,
  pdpb,
  raft_cmdpb,
  serviceNames,
  tikvpb,
} from "../../../src/pb/index.js";

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** Groups inside of groups: what a decoder must skip, level by level. */
function nestedGroups(depth: number): Buffer {
  return Buffer.concat([Buffer.alloc(depth, 0x0b), Buffer.alloc(depth, 0x0c)]);
}

/** A field of length-delimited type around `inner`, once for each level. */
function nested(tag: number, depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) {
    const length: number[] = [];
    for (let left = inner.length; ; left >>>= 7) {
      length.push(left > 127 ? (left & 127) | 128 : left);
      if (left <= 127) break;
    }
    inner = Buffer.concat([Buffer.from([tag, ...length]), inner]);
  }
  return inner;
}

test("10,000 nested groups are refused", () => {
  assert.throws(() => kvrpcpb.RawGetRequest.decode(nestedGroups(10_000)), /max depth exceeded/);
});

test("a message that contains itself 10,000 times is refused, 50 times is read", () => {
  // etcdserverpb.TxnRequest.success (tag 0x12) holds RequestOp, whose request_txn (0x22) holds TxnRequest.
  const txn = methodsOf("etcdserverpb.KV").Txn;
  assert.throws(() => txn?.request.decode(txnInTxn(10_000)), /max depth exceeded/);
  txn?.request.decode(txnInTxn(25));
  // Unknown length-delimited fields are skipped without looking inside.
  assert.type(kvrpcpb.RawGetRequest.decode(nested(0x7a, 10_000)), "object");
});

function txnInTxn(depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let i = 0; i < 2 * depth; i++) {
    inner = Buffer.concat([
      Buffer.from([i % 2 === 0 ? 0x22 : 0x12, ...varint(inner.length)]),
      inner,
    ]);
  }
  return inner;
}

function varint(value: number): number[] {
  const out: number[] = [];
  let left = value;
  while (left > 127) {
    out.push((left & 127) | 128);
    left >>>= 7;
  }
  out.push(left);
  return out;
}

test("lengths past the end are refused", () => {
  for (const hex of [
    "12 05 6162",
    "12 ffffffff0f 61",
    "12 ffffffffffffffffff01",
    "0a 02 08",
    "12",
    "12 80",
  ]) {
    assert.throws(() => kvrpcpb.RawGetRequest.decode(bytes(hex)), undefined, hex);
  }
  // a length inside a nested message may not reach beyond that message
  assert.throws(
    () => kvrpcpb.RawGetRequest.decode(bytes("0a 03 12 05 08 12 03 616263")),
    undefined,
  );
});

test("malformed tags and varints are refused", () => {
  for (const hex of [
    "00",
    "02 00",
    "0e 00",
    "0f 00",
    "0c",
    "08 ffffffffffffffffffff01",
    "ffffffffffffffffffff01",
  ]) {
    assert.throws(() => kvrpcpb.Context.decode(bytes(hex)), undefined, hex);
  }
});

test("unknown fields of every wire type are skipped and not sent on", () => {
  const known = kvrpcpb.RawGetRequest.encode({ key: Buffer.from("k") }).finish();
  const odd = bytes("f83f 07 f93f 0102030405060708 fa3f 02 6162 fb3f 08 01 fc3f fd3f 01020304");
  const message = kvrpcpb.RawGetRequest.decode(Buffer.concat([odd, known, odd]));
  assert.is(Buffer.from(message.key).toString(), "k");
  assert.equal(Buffer.from(kvrpcpb.RawGetRequest.encode(message).finish()), Buffer.from(known));
});

test("unknown enum numbers stay as they are", () => {
  const message = kvrpcpb.Context.decode(bytes("a801 63"));
  assert.is(message.apiVersion, 99);
});

test("strings must be UTF-8", () => {
  assert.throws(() => kvrpcpb.RawGetRequest.decode(bytes("1a 02 c328")), undefined);
  assert.is(kvrpcpb.RawGetRequest.decode(bytes("1a 02 c3a9")).cf, "é");
});

test("a wrong wire type for a known field is skipped", () => {
  assert.is(kvrpcpb.RawGetRequest.decode(bytes("10 05")).key.length, 0);
});

test("of two values of a scalar the last counts, messages merge, lists append", () => {
  const context = kvrpcpb.Context.decode(
    bytes("08 01 08 02 12 02 08 07 12 02 10 08 68 05 6a 02 06 07"),
  );
  assert.is(context.regionId.toString(), "2");
  assert.is(context.regionEpoch?.confVer.toString(), "7");
  assert.is(context.regionEpoch?.version.toString(), "8");
  assert.equal(context.resolvedLocks.map(String), ["5", "6", "7"]);
});

test("property names of Object.prototype are no keys of messages", () => {
  const message = pdpb.GetMembersResponse.decode(bytes("2a 0d 0a 09 5f5f70726f746f5f5f 12 00"));
  assert.is(Object.getPrototypeOf(message.tsoAllocatorLeaders), Object.prototype);
  assert.equal(Object.keys(message.tsoAllocatorLeaders), ["__proto__"]);
});

test("random bytes never do worse than an exception, whatever the message", () => {
  const codecs = serviceNames().flatMap((service) => Object.values(methodsOf(service)));
  fc.assert(
    fc.property(fc.nat(codecs.length - 1), fc.uint8Array({ maxLength: 200 }), (index, input) => {
      try {
        codecs[index]?.request.decode(Buffer.from(input));
      } catch (error) {
        return error instanceof Error && !/call stack/.test(error.message);
      }
      return true;
    }),
    { numRuns: 3000 },
  );
});

test("a message with every kind of field comes back as it was", () => {
  const request: tikvpb.IBatchCommandsRequest = {
    requests: [{ RawGet: { key: Buffer.from("a"), cf: "default" } }, { Empty: { testId: 7 } }, {}],
    requestIds: [1, 2, 3],
  };
  const decoded = tikvpb.BatchCommandsRequest.decode(
    tikvpb.BatchCommandsRequest.encode(request).finish(),
  );
  assert.equal(
    decoded.requests.map((item) => item.cmd),
    ["RawGet", "Empty", undefined],
  );
  assert.is(Buffer.from(decoded.requests[0]?.RawGet?.key ?? []).toString(), "a");
  const cmd = raft_cmdpb.RaftCmdRequest.decode(
    raft_cmdpb.RaftCmdRequest.encode({ requests: [{ cmdType: raft_cmdpb.CmdType.Put }] }).finish(),
  );
  assert.is(cmd.requests[0]?.cmdType, 3);
  assert.is(eraftpb.MessageType[3], "MsgAppend");
});

test.run();
