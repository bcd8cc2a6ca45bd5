/** Entry data: the hand-written form against the static protobuf code; damage is an assertion. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../../src/base/index.js";
import { writeRecords } from "../../../src/engine/index.js";
import { raft_cmdpb } from "../../../src/pb/index.js";
import {
  type CommandHeader,
  confChange,
  decodeCommand,
  encodeAdmin,
  encodeWrites,
  type LoggedAdmin,
} from "../../../src/raftstore/cmd_codec.js";
import { putBatch } from "../../support/apply_harness.js";

const HEADER: CommandHeader = {
  regionId: 300,
  peer: { id: 2 ** 40, storeId: 7, role: 2 },
  confVer: 3,
  version: 129,
  term: 2 ** 53 - 1,
};

/** The bytes that the static code makes of what it reads in `bytes`. */
function recoded(bytes: Uint8Array): Uint8Array {
  const plain = raft_cmdpb.RaftCmdRequest.decode(bytes);
  return raft_cmdpb.RaftCmdRequest.encode(plain).finish();
}

test("a write is what the static code encodes", () => {
  const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
    fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
  const u53 = fc.nat(Number.MAX_SAFE_INTEGER);
  const headers = record({
    regionId: u53,
    peer: record({ id: u53, storeId: u53, role: fc.constantFrom(0, 1, 2, 3) }),
    confVer: u53,
    version: u53,
    term: u53,
  });
  const values = fc.array(fc.string({ maxLength: 300 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(headers, values, (header, texts) => {
      const typed = header as CommandHeader;
      const batch = putBatch(...texts.map((text, i) => [`k${i}`, text] as const));
      const bytes = encodeWrites(typed, [batch]);
      assert.equal(Buffer.from(bytes), Buffer.from(recoded(bytes)));
      const request = raft_cmdpb.RaftCmdRequest.decode(bytes);
      assert.equal(request.customRequest?.data, batch);
      assert.is(String(request.header?.regionId), String(typed.regionId));
      assert.is(String(request.header?.regionEpoch?.version), String(typed.version));
      const command = decodeCommand(bytes);
      assert.is(command.kind, "write");
      if (command.kind !== "write") return;
      assert.equal(command.header, typed);
      assert.equal(Buffer.from(command.data), Buffer.from(batch));
    }),
    { numRuns: 200 },
  );
});

test("several writes are one batch with their records in order", () => {
  const parts = [putBatch(["a", "1"], ["b", "2"]), putBatch(["a", "3"]), putBatch()];
  const command = decodeCommand(encodeWrites(HEADER, parts));
  assert.is(command.kind, "write");
  if (command.kind !== "write") return;
  const puts = [...writeRecords(command.data)].map((record) =>
    record.kind === "put"
      ? `${Buffer.from(record.key).subarray(2)}=${Buffer.from(record.value)}`
      : "",
  );
  assert.equal(puts, ["a=1", "b=2", "a=3"]);
});

const ADMINS: readonly LoggedAdmin[] = [
  { kind: "changePeer", changes: [] },
  {
    kind: "changePeer",
    changes: [
      { type: 2, peer: { id: 9n, storeId: 4n, role: 1 } },
      { type: 1, peer: { id: 8n, storeId: 3n, role: 0 } },
    ],
  },
  {
    kind: "split",
    parts: [{ splitKey: utf8("m"), newRegionId: 10n, newPeerIds: [11n, 12n] }],
    rightDerive: true,
  },
  { kind: "compactLog", index: 100, term: 7 },
];

for (const command of ADMINS) {
  test(`admin: ${command.kind}`, () => {
    const decoded = decodeCommand(encodeAdmin(HEADER, command));
    assert.equal(decoded.header, HEADER);
    assert.is(decoded.kind, "admin");
    if (decoded.kind !== "admin") return;
    assert.equal(decoded.command, command);
  });
}

test("a change of peers: one is simple, several are joint and explicit, none leaves", () => {
  const add = { type: 0, peer: { id: 9n, storeId: 4n, role: 0 } } as const;
  const remove = { type: 1, peer: { id: 8n, storeId: 3n, role: 0 } } as const;
  assert.is(confChange(HEADER, [add]).transition, 0);
  assert.is(confChange(HEADER, [add, remove]).transition, 2);
  assert.is(confChange(HEADER, []).transition, 0);
  assert.equal(confChange(HEADER, [add, remove]).changes, [
    { type: 0, id: 9 },
    { type: 1, id: 8 },
  ]);
  const inner = decodeCommand(confChange(HEADER, [add]).context);
  assert.equal(inner, {
    kind: "admin",
    header: HEADER,
    command: { kind: "changePeer", changes: [add] },
  });
});

test("fields of later versions are skipped", () => {
  const bytes = encodeWrites(HEADER, [putBatch(["a", "1"])]);
  const later = concatBytes(bytes, Uint8Array.of(0xa2, 0x06, 1, 0xff, 0xa8, 0x06, 0x80, 0x01));
  assert.equal(decodeCommand(later), decodeCommand(bytes));
  const header = raft_cmdpb.RaftCmdRequest.decode(bytes);
  if (header.header != null) header.header.uuid = new Uint8Array([1, 2, 3]);
  const withUuid = raft_cmdpb.RaftCmdRequest.encode(header).finish();
  assert.equal(decodeCommand(withUuid).header, HEADER);
});

test("any bytes are a command or an assertion", () => {
  const bytes = encodeWrites(HEADER, [putBatch(["a", "1"])]);
  const damaged = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1 });
  const decodes = (input: Uint8Array): void => {
    try {
      decodeCommand(input);
    } catch (error) {
      assert.is((error as Error).name, "AssertionError", String(error));
    }
  };
  fc.assert(
    fc.property(damaged, fc.uint8Array({ maxLength: 40 }), (changes, other) => {
      const copy = bytes.slice();
      for (const [at, value] of changes) copy[at] = value;
      decodes(copy);
      decodes(other);
    }),
    { numRuns: 2000 },
  );
});

test("damage is an assertion, whatever byte is cut off", () => {
  const bytes = encodeWrites(HEADER, [putBatch(["a", "1"])]);
  for (let end = 1; end < bytes.length; end++) {
    assert.throws(() => decodeCommand(bytes.subarray(0, end)), undefined, `cut at ${end}`);
  }
  assert.throws(() => decodeCommand(Uint8Array.of(0xff, 0xff, 0xff)), /log entry/);
  const header = { regionId: 1 };
  const nothing = raft_cmdpb.RaftCmdRequest.encode({ header }).finish();
  assert.throws(() => decodeCommand(nothing), /neither data nor an admin/);
  const merge = { cmdType: raft_cmdpb.AdminCmdType.PrepareMerge };
  const unknown = raft_cmdpb.RaftCmdRequest.encode({ header, adminRequest: merge }).finish();
  assert.throws(() => decodeCommand(unknown), /not of this version/);
});

test.run();
