/**
 * batch_commands kernels: decode against protobufjs on real kvrpcpb messages, all builds against the
 * twin on valid and mutated frames, plan, collect and encode against plain code.
 * @timeout 120
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, toHex, utf8 } from "../../src/base/index.js";
import {
  type Arena,
  BATCH_CONTEXT_BYTES,
  BATCH_CONTEXT_VERDICT,
  BATCH_FLAG_FOR_CAS,
  BATCH_FLAG_KEY_ONLY,
  BATCH_FLAG_OTHER_CF,
  BATCH_FLAG_REVERSE,
  BATCH_FLAG_TTLS,
  BATCH_KIND_BYTES,
  BATCH_KIND_NONE,
  BATCH_PARAM_COLD_COMMANDS,
  BATCH_PARAM_COLD_COUNT,
  BATCH_PARAM_ENCODED,
  BATCH_PARAM_ENTRY_MAX,
  BATCH_PARAM_GET_CAPACITY,
  BATCH_PARAM_GET_COMMANDS,
  BATCH_PARAM_GET_COUNT,
  BATCH_PARAM_GET_DONE,
  BATCH_PARAM_GET_FROM,
  BATCH_PARAM_KEY_MAX,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_KEYS,
  BATCH_PARAM_KEYS_END,
  BATCH_PARAM_MESSAGE_BYTES,
  BATCH_PARAM_MESSAGE_MAX,
  BATCH_PARAM_NOW_LOW,
  BATCH_PARAM_ORDER,
  BATCH_PARAM_OUT,
  BATCH_PARAM_OUT_END,
  BATCH_PARAM_OUT_FRAME_CAPACITY,
  BATCH_PARAM_OUT_FRAMES,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_RESPONSE_CAPACITY,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_STREAM_COUNT,
  BATCH_PARAM_TTL,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_PARAM_WRITE_CAPACITY,
  BATCH_PARAM_WRITE_COMMAND_COUNT,
  BATCH_PARAM_WRITE_COMMANDS,
  BATCH_PARAM_WRITE_COUNT,
  BATCH_PARAM_WRITES,
  BATCH_STATUS_MALFORMED,
  BATCH_STATUS_MISMATCH,
  BATCH_STATUS_OK,
  BATCH_STATUS_TOO_MANY,
  BATCH_VERDICT_HOT,
  type KernelFunctions,
  SLICE_ABSENT,
  SLICE_BYTES,
  WRITE_ROW_BYTES,
} from "../../src/kernel/index.js";
import { fromBigInt, type kvrpcpb, tikvpb, toBigInt, type Wire64 } from "../../src/pb/index.js";
import { splitFrame } from "../../src/server/batch_oversize.js";
import { BatchTables, type DecodedCommand } from "../support/batch_tables.js";
import { agree, bytesArbitrary, forAll } from "./support.js";

type Request = tikvpb.BatchCommandsRequest.IRequest;

const u64 = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, (1n << 32n) - 1n, 1n << 32n, (1n << 53n) + 1n),
  fc.constantFrom(1n << 63n, (1n << 64n) - 1n),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const wire64 = u64.map(fromBigInt);
const u32 = fc.oneof(fc.constantFrom(0, 1, 127, 128, 0xffff_ffff), fc.nat(0xffff_ffff));
const cf = fc.constantFrom("", "default", "write", "defaulT", "lock");
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(arbitrary, { freq: 4 });

const contextArbitrary: fc.Arbitrary<kvrpcpb.IContext> = fc.record({
  regionId: wire64,
  regionEpoch: optional(fc.record({ confVer: wire64, version: wire64 })),
  peer: optional(fc.record({ id: wire64, storeId: wire64, role: fc.nat(3) })),
  term: wire64,
  replicaRead: fc.boolean(),
  staleRead: fc.boolean(),
  apiVersion: fc.nat(2),
  requestSource: fc.constantFrom("", "external_Test"),
  resolvedLocks: fc.array(wire64, { maxLength: 3 }),
  keyspaceId: optional(u32),
  clusterId: wire64,
  maxExecutionDurationMs: wire64,
});
/** Few distinct contexts, so that runs of equal ones happen. */
const fewContexts = fc.array(contextArbitrary, { minLength: 1, maxLength: 3 });

function rawRequest(context: fc.Arbitrary<kvrpcpb.IContext | null>): fc.Arbitrary<Request> {
  const key = bytesArbitrary;
  const pair = fc.record({ key, value: bytesArbitrary, commitTs: wire64 });
  const range = fc.record({ startKey: key, endKey: key });
  const many = { maxLength: 5 };
  return fc.oneof(
    fc.record({ RawGet: fc.record({ context, key, cf }) }),
    fc.record({ RawBatchGet: fc.record({ context, keys: fc.array(key, many), cf }) }),
    fc.record({
      RawPut: fc.record({ context, key, value: key, cf, ttl: wire64, forCas: fc.boolean() }),
    }),
    fc.record({
      RawBatchPut: fc.record({
        context,
        pairs: fc.array(pair, many),
        cf,
        ttl: wire64,
        forCas: fc.boolean(),
        ttls: fc.array(wire64, { maxLength: 2 }),
      }),
    }),
    fc.record({ RawDelete: fc.record({ context, key, cf, forCas: fc.boolean() }) }),
    fc.record({
      RawBatchDelete: fc.record({ context, keys: fc.array(key, many), cf, forCas: fc.boolean() }),
    }),
    fc.record({
      RawScan: fc.record({
        context,
        startKey: key,
        limit: u32,
        keyOnly: fc.boolean(),
        cf,
        reverse: fc.boolean(),
        endKey: key,
      }),
    }),
    fc.record({ RawDeleteRange: fc.record({ context, startKey: key, endKey: key, cf }) }),
    fc.record({
      RawBatchScan: fc.record({
        context,
        ranges: fc.array(range, many),
        eachLimit: u32,
        keyOnly: fc.boolean(),
        cf,
        reverse: fc.boolean(),
      }),
    }),
  ) as fc.Arbitrary<Request>;
}

const otherRequest: fc.Arbitrary<Request> = fc.oneof(
  fc.constant<Request>({}),
  fc.record({ Empty: fc.record({ testId: wire64 }) }),
  fc.record({ Get: fc.record({ key: bytesArbitrary, version: wire64 }) }),
  fc.record({ Coprocessor: fc.record({ tp: wire64, data: bytesArbitrary }) }),
  fc.record({ GetHealthFeedback: fc.constant({}) }),
  fc.record({ BroadcastTxnStatus: fc.constant({}) }),
) as fc.Arbitrary<Request>;

interface Frame {
  readonly requests: readonly Request[];
  readonly ids: readonly bigint[];
}

const framesArbitrary: fc.Arbitrary<Frame[]> = fewContexts.chain((contexts) => {
  const context = fc.oneof(fc.constant(null), fc.constantFrom(...contexts));
  const request = fc.oneof(
    { weight: 5, arbitrary: rawRequest(context) },
    { weight: 1, arbitrary: otherRequest },
  );
  const frame = fc
    .array(request, { maxLength: 8 })
    .chain((requests) =>
      fc
        .array(u64, { minLength: requests.length, maxLength: requests.length })
        .map((ids) => ({ requests, ids })),
    );
  return fc.array(frame, { maxLength: 4 });
});

function encodeFrame({ requests, ids }: Frame): Uint8Array {
  const message = { requests: [...requests], requestIds: ids.map(fromBigInt) };
  return tikvpb.BatchCommandsRequest.encode(message).finish();
}

/** Everything that one decode call leaves behind. */
function decodeAll(
  functions: KernelFunctions,
  arena: Arena,
  frames: readonly Uint8Array[],
  offset: number,
): { tables: BatchTables; seen: object } {
  const tables = new BatchTables(arena);
  tables.addFrames(frames, offset);
  const done = functions.batchCommandsDecode(tables.layout.params);
  const results = tables.frameResults(Math.max(0, done));
  return { tables, seen: { done, results, counts: tables.counts(), rows: tables.commands() } };
}

const cmdNumbers: Readonly<Record<string, number>> = {
  Get: 1,
  RawGet: 13,
  RawBatchGet: 14,
  RawPut: 15,
  RawBatchPut: 16,
  RawDelete: 17,
  RawBatchDelete: 18,
  RawScan: 19,
  RawDeleteRange: 20,
  RawBatchScan: 21,
  Coprocessor: 22,
  GetHealthFeedback: 39,
  BroadcastTxnStatus: 40,
  Empty: 255,
};

function contextOf(context: kvrpcpb.Context | null | undefined): object | undefined {
  if (context === null || context === undefined) return undefined;
  const { regionEpoch, peer } = context;
  const big = (value: Wire64 | undefined): bigint => (value === undefined ? 0n : toBigInt(value));
  return {
    region: big(context.regionId),
    confVer: big(regionEpoch?.confVer),
    version: big(regionEpoch?.version),
    peer: big(peer?.id),
    store: big(peer?.storeId),
    term: big(context.term),
    cluster: big(context.clusterId),
    apiVersion: context.apiVersion,
    keyspaceId: context.keyspaceId ?? 0,
    flags: context.replicaRead || context.staleRead ? 1 : 0,
  };
}

interface AnyRaw {
  readonly context?: kvrpcpb.Context | null;
  readonly key?: Uint8Array;
  readonly value?: Uint8Array;
  readonly startKey?: Uint8Array;
  readonly endKey?: Uint8Array;
  readonly cf?: string;
  readonly ttl?: Wire64;
  readonly limit?: number;
  readonly eachLimit?: number;
  readonly forCas?: boolean;
  readonly keyOnly?: boolean;
  readonly reverse?: boolean;
  readonly keys?: Uint8Array[];
  readonly pairs?: kvrpcpb.KvPair[];
  readonly ranges?: kvrpcpb.KeyRange[];
  readonly ttls?: Wire64[];
}

const hexOf = (bytes: Uint8Array | undefined): string => (bytes === undefined ? "" : toHex(bytes));

function flagsOf(raw: AnyRaw): number {
  const otherCf = raw.cf !== undefined && raw.cf !== "" && raw.cf !== "default";
  return (
    (raw.forCas === true ? BATCH_FLAG_FOR_CAS : 0) |
    (otherCf ? BATCH_FLAG_OTHER_CF : 0) |
    ((raw.ttls?.length ?? 0) > 0 ? BATCH_FLAG_TTLS : 0) |
    (raw.keyOnly === true ? BATCH_FLAG_KEY_ONLY : 0) |
    (raw.reverse === true ? BATCH_FLAG_REVERSE : 0)
  );
}

/** What the table must say about a request, according to protobufjs. */
function expectedOf(stream: number, id: bigint, request: Request): DecodedCommand {
  const name = Object.keys(request)[0];
  const cmd = name === undefined ? 0 : (cmdNumbers[name] as number);
  const encoded = tikvpb.BatchCommandsRequest.Request.encode(request).finish();
  const requests = splitFrame(
    concatBytes(Uint8Array.of(0x0a), lengthOf(encoded), encoded, Uint8Array.of(0x10, 1)),
    1,
  );
  assert.ok(Array.isArray(requests));
  const body = hexOf(requests[0]?.body);
  const plain = {
    stream,
    id,
    cmd,
    body,
    context: undefined,
    flags: 0,
    key: "",
    value: "",
    ttl: 0n,
  };
  if (name === undefined || cmd < 13 || cmd > 21) return { ...plain, subs: [] };
  const decoded = tikvpb.BatchCommandsRequest.Request.decode(encoded);
  const raw = (decoded as unknown as Record<string, AnyRaw>)[name] as AnyRaw;
  const ttl = cmd === 16 ? 0n : raw.ttl === undefined ? undefined : toBigInt(raw.ttl);
  const subs =
    raw.keys?.map((key) => [hexOf(key), ""] as const) ??
    raw.pairs?.map(({ key, value }) => [hexOf(key), hexOf(value)] as const) ??
    raw.ranges?.map(({ startKey, endKey }) => [hexOf(startKey), hexOf(endKey)] as const) ??
    [];
  return {
    ...plain,
    context: contextOf(raw.context) as DecodedCommand["context"],
    flags: flagsOf(raw),
    key: hexOf(raw.key ?? raw.startKey),
    value: hexOf(raw.value ?? raw.endKey),
    ttl: ttl ?? BigInt(raw.limit ?? raw.eachLimit ?? 0),
    subs,
  };
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  return Uint8Array.of(...out, rest);
}

test("decode says what protobufjs says, on every build", () => {
  forAll(
    fc.tuple(framesArbitrary, fc.nat(9)),
    ([frames, offset]) => {
      const encoded = frames.map(encodeFrame);
      const seen = agree(
        (functions, arena) => decodeAll(functions, arena, encoded, offset).seen,
      ) as {
        done: number;
        results: { status: number }[];
        rows: DecodedCommand[];
      };
      assert.is(seen.done, frames.length);
      for (const { status } of seen.results) assert.is(status, BATCH_STATUS_OK);
      const expected = frames.flatMap(({ requests, ids }, stream) =>
        requests.map((request, i) => expectedOf(stream, ids[i] as bigint, request)),
      );
      assert.equal(seen.rows, expected);
    },
    250,
  );
});

/** One change to the bytes of a frame. */
interface Mutation {
  readonly at: number;
  readonly byte: number;
  readonly kind: "set" | "flip" | "cut" | "insert" | "repeat";
}

const mutationArbitrary: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(100_000),
  byte: fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x0b, 0x0c), fc.nat(255)),
  kind: fc.constantFrom("set", "set", "flip", "cut", "insert", "repeat"),
});

function mutate(frame: Uint8Array, { at, byte, kind }: Mutation): Uint8Array {
  const i = frame.length === 0 ? 0 : at % frame.length;
  const out = Uint8Array.from(frame);
  switch (kind) {
    case "set":
      if (i < out.length) out[i] = byte;
      return out;
    case "flip":
      if (i < out.length) out[i] = (out[i] as number) ^ (1 << (byte & 7));
      return out;
    case "cut":
      return out.subarray(0, i);
    case "insert":
      return concatBytes(out.subarray(0, i), Uint8Array.of(byte), out.subarray(i));
    case "repeat":
      return concatBytes(out, out.subarray(i));
  }
}

test("mutated frames: all builds agree, stay in bounds, and split as the oversize path does", () => {
  let refused = 0;
  forAll(
    fc.tuple(framesArbitrary, fc.array(mutationArbitrary, { minLength: 1, maxLength: 4 })),
    ([frames, mutations]) => {
      const encoded = frames.map((frame) => mutations.reduce(mutate, encodeFrame(frame)));
      // Slices outside of the frames fail inside `rows` (BatchTables.hex).
      const seen = agree((functions, arena) => decodeAll(functions, arena, encoded, 3).seen) as {
        results: { status: number; first: number; count: number }[];
        rows: DecodedCommand[];
      };
      seen.results.forEach(({ status, first, count }, i) => {
        if (status !== BATCH_STATUS_OK) refused++;
        const split = splitFrame(encoded[i] as Uint8Array, 4096);
        // The oversize path leaves bodies to protobufjs, so it may accept what decode refuses, and
        // name another reason than a malformed body.
        if (typeof split === "number") assert.is.not(status, BATCH_STATUS_OK, "both refuse");
        else if (status === BATCH_STATUS_OK) {
          const rows = seen.rows.slice(first, first + count);
          assert.equal(
            split.map(({ cmd, body }) => [cmd, toHex(body)]),
            rows.map(({ cmd, body }) => [cmd, body]),
          );
        }
      });
    },
    700,
  );
  assert.ok(refused > 200, "mutations reach the refusals");
});

test("random bytes never decode out of bounds", () => {
  forAll(
    fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }),
    (frames) => {
      agree((functions, arena) => decodeAll(functions, arena, frames, 1).seen);
    },
    700,
  );
});

function statusOf(frame: Uint8Array, requestsMax = 4096): number {
  return agree((functions, arena) => {
    const tables = new BatchTables(arena);
    tables.set(44, requestsMax);
    tables.addFrames([frame], 0);
    functions.batchCommandsDecode(tables.layout.params);
    return tables.frameResults(1)[0]?.status;
  }) as number;
}

test("named refusals", () => {
  const get = encodeFrame({ requests: [{ RawGet: { key: utf8("k") } }], ids: [1n] });
  assert.is(statusOf(new Uint8Array(0)), BATCH_STATUS_OK, "an empty message");
  assert.is(statusOf(get), BATCH_STATUS_OK);
  assert.is(statusOf(get.subarray(0, get.length - 1)), BATCH_STATUS_MALFORMED, "cut");
  const noIds = tikvpb.BatchCommandsRequest.encode({ requests: [{}] }).finish();
  assert.is(statusOf(noIds), BATCH_STATUS_MISMATCH, "a request without an id");
  const noRequest = tikvpb.BatchCommandsRequest.encode({ requestIds: [fromBigInt(1n)] }).finish();
  assert.is(statusOf(noRequest), BATCH_STATUS_MISMATCH, "an id without a request");
  const three = encodeFrame({ requests: [{}, {}, {}], ids: [1n, 1n, 1n] });
  assert.is(statusOf(three, 3), BATCH_STATUS_OK, "duplicate ids");
  assert.is(statusOf(three, 2), BATCH_STATUS_TOO_MANY);
  const bad: readonly (readonly [string, number[]])[] = [
    ["field 0", [0x02, 0x00]],
    ["end group without a start", [0x0c]],
    ["wire type 6", [0x0e]],
    ["wire type 7", [0x0f]],
    ["11-byte varint", [0x10, ...Array.from({ length: 10 }, () => 0x80), 0x01]],
    ["length past the end", [0x0a, 0x05, 0x00]],
    ["length of 4 GiB", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["length of 2^64 - 1", [0x0a, ...Array.from({ length: 9 }, () => 0xff), 0x01]],
    ["truncated fixed64", [0x39, 1, 2, 3]],
    ["truncated fixed32", [0x3d, 1, 2, 3]],
    ["open group", [0x3b, 0x08, 0x01]],
    ["group closed by another field", [0x3b, 0x44]],
    ["101 nested groups", [...Array.from({ length: 102 }, () => 0x3b)]],
  ];
  for (const [name, bytes] of bad) {
    assert.is(statusOf(Uint8Array.from(bytes)), BATCH_STATUS_MALFORMED, name);
  }
  const groups = [
    ...Array.from({ length: 100 }, () => 0x3b),
    ...Array.from({ length: 100 }, () => 0x3c),
  ];
  assert.is(statusOf(Uint8Array.from(groups)), BATCH_STATUS_OK, "100 nested groups are skipped");
  const unpacked = Uint8Array.of(0x0a, 0x00, 0x0a, 0x00, 0x10, 0x05, 0x10, 0x06);
  assert.is(statusOf(unpacked), BATCH_STATUS_OK, "unpacked ids");
  const idsFirst = Uint8Array.of(0x12, 0x01, 0x05, 0x0a, 0x00, 0x10, 0x06, 0x0a, 0x00);
  assert.is(statusOf(idsFirst), BATCH_STATUS_OK, "ids before and between requests");
});

test("full tables stop before the frame that does not fit, and nothing of it stays", () => {
  const frame = (count: number): Uint8Array =>
    encodeFrame({
      requests: Array.from({ length: count }, (_, i) => ({
        RawBatchGet: { context: { term: fromBigInt(BigInt(i)) }, keys: [utf8("a"), utf8("b")] },
      })),
      ids: Array.from({ length: count }, (_, i) => BigInt(i)),
    });
  const frames = [frame(3), frame(2), frame(4), frame(1)];
  const limits = [
    [{ commands: 8 }, 2],
    [{ commands: 9 }, 3],
    [{ contexts: 6 }, 2],
    [{ subs: 17 }, 2],
    [{ subs: 18 }, 3],
    [{ commands: 2 }, 0],
  ] as const;
  for (const [sizes, expected] of limits) {
    agree((functions, arena) => {
      const tables = new BatchTables(arena, sizes);
      tables.addFrames(frames, 0);
      assert.is(
        functions.batchCommandsDecode(tables.layout.params),
        expected,
        JSON.stringify(sizes),
      );
      const commands = [0, 3, 5, 9, 10][expected] as number;
      assert.equal(tables.counts(), { contexts: commands, commands, subs: 2 * commands });
      return tables.commands();
    });
  }
});

const PREFIX = utf8("dz");
const NOW = 1000;

/** Fills what plan, collect and encode need; every context is hot over all keys. */
function prepare(tables: BatchTables, ttl: boolean): void {
  const { layout, sizes, arena } = tables;
  const prefix = arena.scratch.reserve(PREFIX.length);
  arena.u8.set(PREFIX, prefix);
  const values: readonly (readonly [number, number])[] = [
    [BATCH_PARAM_KEY_TABLE, layout.keyTable],
    [BATCH_PARAM_GET_COMMANDS, layout.getCommands],
    [BATCH_PARAM_GET_CAPACITY, sizes.gets],
    [BATCH_PARAM_KEYS, layout.keys],
    [BATCH_PARAM_KEYS_END, layout.keysEnd],
    [BATCH_PARAM_PREFIX, prefix],
    [BATCH_PARAM_PREFIX_LENGTH, PREFIX.length],
    [BATCH_PARAM_WRITES, layout.writes],
    [BATCH_PARAM_WRITE_CAPACITY, sizes.writes],
    [BATCH_PARAM_WRITE_COMMANDS, layout.writeCommands],
    [BATCH_PARAM_COLD_COMMANDS, layout.coldCommands],
    [BATCH_PARAM_TTL, ttl ? 1 : 0],
    [BATCH_PARAM_NOW_LOW, NOW],
    [BATCH_PARAM_KEY_MAX, 300],
    [BATCH_PARAM_ENTRY_MAX, 600],
    [BATCH_PARAM_VALUE_TABLE, layout.valueTable],
    [BATCH_PARAM_RESPONSES, layout.responses],
    [BATCH_PARAM_RESPONSE_CAPACITY, sizes.commands],
    [BATCH_PARAM_STREAM_COUNT, 8],
    [BATCH_PARAM_ORDER, layout.order],
    [BATCH_PARAM_OUT_FRAMES, layout.outFrames],
    [BATCH_PARAM_OUT_FRAME_CAPACITY, sizes.frames],
    [BATCH_PARAM_MESSAGE_MAX, 128],
    [BATCH_PARAM_MESSAGE_BYTES, 1 << 20],
    [BATCH_PARAM_OUT, arena.output.next],
    [BATCH_PARAM_OUT_END, arena.output.end],
  ];
  for (const [param, value] of values) tables.set(param, value);
  for (let i = 0; i < tables.counts().contexts; i++) {
    const row = layout.contexts + i * BATCH_CONTEXT_BYTES;
    arena.u32[(row + BATCH_CONTEXT_VERDICT) >>> 2] = BATCH_VERDICT_HOT;
  }
}

function list(tables: BatchTables, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => tables.word(at + 4 * i));
}

/** What plan must do with a command, by plain code. */
function classOf(command: DecodedCommand, ttl: boolean): "get" | "write" | "cold" {
  const { cmd, flags, key, value, subs } = command;
  if (command.context === undefined || cmd < 13 || cmd > 18 || flags !== 0) return "cold";
  const many = cmd === 14 || cmd === 16 || cmd === 18;
  const entries = many ? subs : [[key, value] as const];
  if (entries.length === 0) return "cold";
  if (entries.some(([k]) => k.length === 0 || k.length > 600)) return "cold";
  if (cmd === 13 || cmd === 14) return "get";
  const bytes = entries.reduce((sum, [k, v]) => sum + (k.length + v.length) / 2, 0);
  if (bytes > 600) return "cold";
  if (command.ttl !== 0n && (!ttl || command.ttl + BigInt(NOW) >= 1n << 64n)) return "cold";
  return "write";
}

test("plan sorts commands and builds engine keys and write rows", () => {
  forAll(
    fc.tuple(framesArbitrary, fc.boolean()),
    ([frames, ttl]) => {
      const encoded = frames.map(encodeFrame);
      agree((functions, arena) => {
        const { tables } = decodeAll(functions, arena, encoded, 0);
        prepare(tables, ttl);
        const hot = functions.batchCommandsPlan(tables.layout.params);
        const { layout } = tables;
        const commands = tables.commands();
        const classes = commands.map((command) => classOf(command, ttl));
        const indices = (wanted: string): number[] =>
          classes.flatMap((name, i) => (name === wanted ? [i] : []));
        const cold = list(tables, layout.coldCommands, tables.get(BATCH_PARAM_COLD_COUNT));
        const writes = list(
          tables,
          layout.writeCommands,
          tables.get(BATCH_PARAM_WRITE_COMMAND_COUNT),
        );
        assert.equal(cold, indices("cold"));
        assert.equal(writes, indices("write"));
        assert.is(hot, commands.length - cold.length);
        const getCount = tables.get(BATCH_PARAM_GET_COUNT);
        const gets = Array.from({ length: getCount }, (_, i) => {
          const at = tables.word(layout.keyTable + i * SLICE_BYTES);
          const length = tables.word(layout.keyTable + i * SLICE_BYTES + 4);
          return [
            tables.word(layout.getCommands + 4 * i),
            toHex(arena.u8.subarray(at, at + length)),
          ] as const;
        });
        const expectedGets = indices("get").flatMap((i) => {
          const { cmd, key, subs } = commands[i] as DecodedCommand;
          const keys = cmd === 13 ? [key] : subs.map(([k]) => k);
          return keys.map((k) => [i, toHex(PREFIX) + k] as const);
        });
        assert.equal(gets, expectedGets);
        const rows = Array.from({ length: tables.get(BATCH_PARAM_WRITE_COUNT) }, (_, i) => {
          const row = layout.writes + i * WRITE_ROW_BYTES;
          const suffix = arena.u8.slice(row + 20, row + 20 + (arena.u8[row + 1] as number));
          const isPut = arena.u8[row] === 1;
          return [
            arena.u8[row],
            tables.hex(row + 4),
            isPut ? tables.hex(row + 12) : "",
            toHex(suffix),
          ];
        });
        const expectedRows = indices("write").flatMap((i) => {
          const { cmd, key, value, subs, ttl: seconds } = commands[i] as DecodedCommand;
          const isPut = cmd === 15 || cmd === 16;
          const expiry = seconds === 0n ? 0n : seconds + BigInt(NOW);
          const suffix = isPut && ttl ? expiry.toString(16).padStart(16, "0") : "";
          const entries = cmd === 15 || cmd === 17 ? [[key, value] as const] : subs;
          return entries.map(([k, v]) => [isPut ? 1 : 0, k, isPut ? v : "", suffix]);
        });
        assert.equal(rows, expectedRows);
        return { gets, rows };
      });
    },
    150,
  );
});

test("a key outside of the region is cold", () => {
  const keys = ["a", "b", "b0", "c", "cz", "d", "e"];
  const requests = keys.map((key) => ({ RawGet: { context: {}, key: utf8(key) } }));
  const frame = encodeFrame({ requests, ids: keys.map((_, i) => BigInt(i)) });
  const bounds: readonly (readonly [string, string, string[]])[] = [
    ["", "", []],
    ["b", "d", ["a", "d", "e"]],
    ["b0", "", ["a", "b"]],
    ["", "c", ["c", "cz", "d", "e"]],
  ];
  for (const [start, end, outside] of bounds) {
    agree((functions, arena) => {
      const { tables } = decodeAll(functions, arena, [frame], 0);
      prepare(tables, false);
      const at = arena.scratch.reserve(8);
      arena.u8.set(utf8(start), at);
      arena.u8.set(utf8(end), at + 4);
      const row = tables.layout.contexts >>> 2;
      arena.u32.set([at, start.length, at + 4, end.length], row + 20);
      functions.batchCommandsPlan(tables.layout.params);
      const cold = list(tables, tables.layout.coldCommands, tables.get(BATCH_PARAM_COLD_COUNT));
      assert.equal(
        cold.map((i) => keys[i]),
        outside,
        `[${start}, ${end})`,
      );
      return cold;
    });
  }
});

/** Values by key as stored; expiry suffixes in TTL mode. */
interface Stored {
  readonly value: Uint8Array;
  readonly expiry: bigint;
}

function fillValues(
  tables: BatchTables,
  store: ReadonlyMap<string, Stored>,
  from: number,
  count: number,
  ttl: boolean,
): void {
  const { arena, layout } = tables;
  let out = layout.values;
  for (let i = from; i < from + count; i++) {
    const key = tables.word(layout.keyTable + i * SLICE_BYTES);
    const length = tables.word(layout.keyTable + i * SLICE_BYTES + 4);
    const found = store.get(toHex(arena.u8.subarray(key + PREFIX.length, key + length)));
    const row = (layout.valueTable + i * SLICE_BYTES) >>> 2;
    arena.u32[row + 1] = SLICE_ABSENT;
    if (found === undefined) continue;
    arena.u32[row] = out;
    arena.u8.set(found.value, out);
    out += found.value.length;
    if (ttl) {
      arena.view.setBigUint64(out, found.expiry, false);
      out += 8;
    }
    arena.u32[row + 1] = found.value.length + (ttl ? 8 : 0);
  }
}

type Answer = { id: bigint; stream: number; body: unknown };

function decodeMessages(messages: readonly { stream: number; bytes: Uint8Array }[]): Answer[] {
  return messages.flatMap(({ stream, bytes }) => {
    const message = tikvpb.BatchCommandsResponse.decode(bytes);
    assert.is(message.requestIds.length, message.responses.length);
    return message.responses.map((response, i) => ({
      id: toBigInt(message.requestIds[i] as Wire64),
      stream,
      body: JSON.stringify(tikvpb.BatchCommandsResponse.Response.encode(response).finish()),
    }));
  });
}

function expectedAnswer(
  { cmd, key, subs }: DecodedCommand,
  store: ReadonlyMap<string, Stored>,
  ttl: boolean,
): unknown {
  const live = (k: string): Uint8Array | undefined => {
    const found = store.get(k);
    const expired = ttl && found !== undefined && found.expiry !== 0n && found.expiry <= NOW;
    return expired ? undefined : found?.value;
  };
  if (cmd === 13) {
    const value = live(key);
    const RawGet = value === undefined ? { notFound: true } : { value };
    return tikvpb.BatchCommandsResponse.Response.encode({ RawGet }).finish();
  }
  const pairs = subs.flatMap(([k]) => {
    const value = live(k);
    return value === undefined ? [] : [{ key: Buffer.from(k, "hex"), value }];
  });
  return tikvpb.BatchCommandsResponse.Response.encode({ RawBatchGet: { pairs } }).finish();
}

const getsArbitrary = fc
  .array(
    fc.tuple(
      bytesArbitrary,
      bytesArbitrary,
      fc.constantFrom(0n, 1n, 999n, 1000n, 1001n, 1n << 40n),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .chain((stored) => {
    const key = fc.oneof(fc.constantFrom(...stored.map(([k]) => k)), bytesArbitrary);
    const request = fc.oneof(
      key.map((k): Request => ({ RawGet: { context: {}, key: k } })),
      fc
        .array(key, { minLength: 1, maxLength: 4 })
        .map((keys): Request => ({ RawBatchGet: { context: {}, keys } })),
    );
    const frame = fc
      .array(request, { maxLength: 8 })
      .chain((requests) =>
        fc
          .uniqueArray(u64, { minLength: requests.length, maxLength: requests.length })
          .map((ids) => ({ requests, ids })),
      );
    return fc.record({ stored: fc.constant(stored), frames: fc.array(frame, { maxLength: 4 }) });
  });

test("collect and encode answer every get with what is stored, however the work is cut", () => {
  forAll(
    fc.tuple(
      getsArbitrary,
      fc.boolean(),
      fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }),
      fc.constantFrom(1, 2, 5, 1000),
      fc.record({ max: fc.constantFrom(1, 3, 128), bytes: fc.constantFrom(1, 300, 1 << 20) }),
      fc.constantFrom(0, 3000),
    ),
    ([{ stored, frames }, ttl, streams, step, message, room]) => {
      const store = new Map(stored.map(([k, value, expiry]) => [toHex(k), { value, expiry }]));
      const encoded = frames.map(encodeFrame);
      agree((functions, arena) => {
        const tables = new BatchTables(arena);
        tables.addFrames(encoded, 0, streams);
        assert.is(functions.batchCommandsDecode(tables.layout.params), frames.length);
        prepare(tables, ttl);
        tables.set(BATCH_PARAM_MESSAGE_MAX, message.max);
        tables.set(BATCH_PARAM_MESSAGE_BYTES, message.bytes);
        if (room > 0) tables.set(BATCH_PARAM_OUT_END, tables.get(BATCH_PARAM_OUT) + room);
        functions.batchCommandsPlan(tables.layout.params);
        const total = tables.get(BATCH_PARAM_GET_COUNT);
        const log: Answer[] = [];
        for (let from = 0; from < total; ) {
          // A command with four keys needs four values at once.
          const done = Math.min(total - from, step < 4 ? step + 3 : step);
          fillValues(tables, store, from, done, ttl);
          tables.set(BATCH_PARAM_GET_FROM, from);
          tables.set(BATCH_PARAM_GET_DONE, from + done);
          const next = functions.batchCommandsCollect(tables.layout.params);
          assert.ok(next > from, "each round makes progress");
          from = next;
          log.push(...drain(functions, tables, message));
        }
        const commands = tables.commands();
        const expected = commands
          .filter((command) => classOf(command, ttl) === "get")
          .map((command) => ({
            id: command.id,
            stream: command.stream,
            body: JSON.stringify(expectedAnswer(command, store, ttl)),
          }));
        const byPlace = (a: Answer, b: Answer): number =>
          a.stream - b.stream || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
        assert.equal([...log].sort(byPlace), [...expected].sort(byPlace));
        return log.map(({ id, stream, body }) => [String(id), stream, body]);
      });
    },
    120,
  );
});

/** Encodes all rows; checks the bounds of each message. */
function drain(
  functions: KernelFunctions,
  tables: BatchTables,
  bounds: { readonly max: number; readonly bytes: number },
): Answer[] {
  const out: Answer[] = [];
  const count = tables.get(BATCH_PARAM_RESPONSE_COUNT);
  tables.set(BATCH_PARAM_ENCODED, 0);
  while (tables.get(BATCH_PARAM_ENCODED) < count) {
    const produced = functions.batchCommandsEncode(tables.layout.params);
    assert.ok(produced > 0, "the room is enough for one message");
    const messages = tables.messages(produced);
    for (const { responses } of messages) assert.ok(responses >= 1 && responses <= bounds.max);
    out.push(...decodeMessages(messages));
  }
  tables.set(BATCH_PARAM_RESPONSE_COUNT, 0);
  return out;
}

test("encode: bodies and empty responses of several streams, with a tail", () => {
  const row = fc.record({
    stream: fc.nat(7),
    id: u64,
    cmd: fc.constantFrom(1, 15, 16, 22, 39, 255),
    body: fc.option(bytesArbitrary),
  });
  forAll(fc.array(row, { maxLength: 60 }), (rows) => {
    agree((functions, arena) => {
      const tables = new BatchTables(arena);
      prepare(tables, false);
      rows.forEach(({ stream, id, cmd, body }, i) => {
        const ptr = body === null ? 0 : arena.input.reserve(body.length, 1);
        if (body !== null) arena.u8.set(body, ptr);
        const kind = body === null ? BATCH_KIND_NONE : BATCH_KIND_BYTES;
        const words = [stream, Number(id & 0xffff_ffffn), Number(id >> 32n), cmd, kind, ptr];
        arena.u32.set([...words, body?.length ?? 0], (tables.layout.responses >>> 2) + 8 * i);
      });
      tables.set(BATCH_PARAM_RESPONSE_COUNT, rows.length);
      const messages: { stream: number; bytes: Uint8Array }[] = [];
      while (tables.get(BATCH_PARAM_ENCODED) < rows.length) {
        messages.push(...tables.messages(functions.batchCommandsEncode(tables.layout.params)));
      }
      const seen = messages.flatMap(({ stream, bytes }) => {
        const requests = splitFrame(bytes, 4096);
        assert.ok(Array.isArray(requests), "a response has the shape of a request");
        return requests.map(({ idLow, idHigh, cmd, body }) => [
          stream,
          (BigInt(idHigh) << 32n) | BigInt(idLow),
          cmd,
          toHex(body),
        ]);
      });
      const ordered = [...rows.keys()].sort(
        (a, b) => (rows[a]?.stream as number) - (rows[b]?.stream as number) || a - b,
      );
      const expected = ordered.map((i) => {
        const { stream, id, cmd, body } = rows[i] as (typeof rows)[number];
        return [stream, id, body === null ? 0 : cmd, body === null ? "" : toHex(body)];
      });
      assert.equal(seen, expected, "grouped by stream, in order");
      return messages.map(({ bytes }) => toHex(bytes));
    });
  });
});

test.run();
