/**
 * Plain prewrites and commits are read as protobufjs and the handlers of unary calls read them; what
 * is not plain, or not whole, is left to those.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import {
  CommitFields,
  PrewriteFields,
  type RequestFields,
} from "../../../src/server/batch_txn_parse.js";
import { encodedKeys, prewriteRequest } from "../../../src/server/txn_requests.js";
import type { CommitRequest } from "../../../src/txn/index.js";

const { Op } = kvrpcpb;
const PREWRITE = new PrewriteFields();
const COMMIT = new CommitFields();

const shown = (value: unknown): string =>
  JSON.stringify(value, (_key, one: unknown) => {
    if (typeof one === "bigint") return `${one}`;
    if (one instanceof Uint8Array) return Buffer.from(one).toJSON();
    return one;
  });

/** What the parser makes of a request; undefined = it is not plain. */
function parsed<R>(fields: RequestFields<R>, bytes: Uint8Array): string | undefined {
  if (!fields.read(bytes)) return undefined;
  const context = kvrpcpb.Context.decode(fields.contextBytes);
  const { isRetryRequest, txnSource } = context;
  const command = fields.command({ isRetryRequest, txnSource: toBigInt(txnSource) });
  const entries = Object.entries(command as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return shown([entries, kvrpcpb.Context.encode(context).finish()]);
}

/** The same by message objects; undefined = the request is refused, or damaged. */
function expected<R extends object>(
  decode: (bytes: Uint8Array) => { command: R | undefined; context: kvrpcpb.IContext | null },
  bytes: Uint8Array,
): string | undefined {
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(bytes);
  } catch {
    return undefined;
  }
  const { command, context } = decoded;
  if (command === undefined || context == null) return undefined;
  const entries = Object.entries(command).sort(([a], [b]) => (a < b ? -1 : 1));
  return shown([entries, kvrpcpb.Context.encode(context).finish()]);
}

const decodePrewrite = (bytes: Uint8Array) => {
  const request = kvrpcpb.PrewriteRequest.decode(bytes);
  const made = prewriteRequest(request);
  return { command: made.ok ? made.value : undefined, context: request.context ?? null };
};

const decodeCommit = (bytes: Uint8Array) => {
  const { commitVersion, context, keys, startVersion } = kvrpcpb.CommitRequest.decode(bytes);
  const command: CommitRequest = {
    kind: "commit",
    keys: encodedKeys(keys),
    startTs: toBigInt(startVersion),
    commitTs: toBigInt(commitVersion),
  };
  return { command, context: context ?? null };
};

const bytesOf = (prng: Prng, max: number): Uint8Array =>
  Uint8Array.from({ length: prng.below(max) }, () => prng.below(256));

const u64Of = (prng: Prng) => {
  const bits = BigInt(prng.below(65));
  const value = (BigInt(prng.below(2 ** 31)) << 33n) | BigInt(prng.below(2 ** 31));
  return fromBigInt(value & ((1n << bits) - 1n));
};

function contextOf(prng: Prng): kvrpcpb.IContext {
  return {
    regionId: u64Of(prng),
    regionEpoch: { confVer: 1, version: prng.below(9) },
    isRetryRequest: prng.ratio(1, 4),
    txnSource: prng.ratio(1, 4) ? u64Of(prng) : 0,
  };
}

/** Fields are left out, or zero, as clients do; now and then there is one that is not plain. */
function prewriteOf(prng: Prng): kvrpcpb.IPrewriteRequest {
  const count = prng.range(1, 5);
  const isPessimistic = prng.ratio(1, 3);
  const ops = [Op.Put, Op.Del, Op.Lock, Op.Insert, Op.CheckNotExists];
  const mutations = Array.from({ length: count }, () => ({
    op: prng.ratio(1, 60) ? Op.Rollback : prng.pick(ops),
    key: bytesOf(prng, 30),
    value: bytesOf(prng, 40),
    ...(prng.ratio(1, 3) && { assertion: prng.below(3) }),
  }));
  const actions = prng.ratio(1, 20) ? count - 1 : count;
  return {
    context: contextOf(prng),
    mutations,
    primaryLock: bytesOf(prng, 20),
    startVersion: u64Of(prng),
    ...(prng.ratio(4, 5) && { lockTtl: u64Of(prng) }),
    ...(prng.ratio(1, 2) && { skipConstraintCheck: prng.ratio(1, 2) }),
    ...(isPessimistic && {
      pessimisticActions: Array.from({ length: actions }, () => prng.below(3)),
      forUpdateTs: fromBigInt(BigInt(1 + prng.below(1000))),
    }),
    ...(prng.ratio(1, 2) && { txnSize: u64Of(prng), minCommitTs: u64Of(prng) }),
    ...(prng.ratio(1, 2) && { useAsyncCommit: prng.ratio(1, 2) }),
    ...(prng.ratio(1, 2) && { secondaries: [bytesOf(prng, 9), bytesOf(prng, 9)] }),
    ...(prng.ratio(1, 2) && { tryOnePc: prng.ratio(1, 2), maxCommitTs: u64Of(prng) }),
    ...(prng.ratio(1, 2) && { assertionLevel: prng.below(3) }),
    ...(prng.ratio(1, 40) && { forUpdateTsConstraints: [{ index: 0, expectedForUpdateTs: 5 }] }),
    ...(prng.ratio(1, 40) && { txnFileChunks: [1] }),
  };
}

function commitOf(prng: Prng): kvrpcpb.ICommitRequest {
  return {
    context: contextOf(prng),
    startVersion: u64Of(prng),
    keys: Array.from({ length: prng.range(1, 4) }, () => bytesOf(prng, 30)),
    commitVersion: u64Of(prng),
    ...(prng.ratio(1, 2) && { primaryKey: bytesOf(prng, 9), commitRole: prng.below(3) }),
    ...(prng.ratio(1, 2) && { useAsyncCommit: prng.ratio(1, 2) }),
  };
}

/** Compares what both make of a request, whole and damaged; counts the plain ones. */
function compare<R extends object>(
  fields: RequestFields<R>,
  decode: Parameters<typeof expected<R>>[0],
  encoded: (prng: Prng) => Uint8Array,
): { plain: number; damagedPlain: number } {
  const prng = new Prng(7n);
  let [plain, damagedPlain] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    const bytes = encoded(prng);
    const got = parsed(fields, bytes);
    if (got !== undefined) {
      plain++;
      assert.is(got, expected(decode, bytes), `request ${i}`);
    }
    const damaged = damage(prng, bytes);
    let late: string | undefined;
    try {
      late = parsed(fields, damaged);
    } catch {
      // The context does not decode; batch_txn_writes.ts leaves such a request to the cold path.
      continue;
    }
    if (late === undefined) continue;
    damagedPlain++;
    assert.is(
      late,
      expected(decode, damaged),
      `damaged request ${i}: ${Buffer.from(damaged).toString("hex")}`,
    );
  }
  return { plain, damagedPlain };
}

/** Changes a byte, cuts the end, repeats a part. */
function damage(prng: Prng, bytes: Uint8Array): Uint8Array {
  const at = prng.below(bytes.length);
  switch (prng.below(3)) {
    case 0: {
      const changed = bytes.slice();
      changed[at] = prng.below(256);
      return changed;
    }
    case 1:
      return bytes.slice(0, at);
    default:
      return Uint8Array.from([...bytes, ...bytes.subarray(at)]);
  }
}

test("prewrites, whole and damaged: as protobufjs reads them, or not at all", () => {
  const { plain, damagedPlain } = compare(PREWRITE, decodePrewrite, (prng) =>
    kvrpcpb.PrewriteRequest.encode(prewriteOf(prng)).finish(),
  );
  assert.ok(plain > 2400 && plain < 3000, `${plain} are plain`);
  assert.ok(damagedPlain > 300, `${damagedPlain} damaged ones are plain`);
});

test("commits, whole and damaged: as protobufjs reads them, or not at all", () => {
  const { plain, damagedPlain } = compare(COMMIT, decodeCommit, (prng) =>
    kvrpcpb.CommitRequest.encode(commitOf(prng)).finish(),
  );
  assert.is(plain, 3000);
  assert.ok(damagedPlain > 300, `${damagedPlain} damaged ones are plain`);
});

test("what is not plain: a field twice, an unknown one, no context, no key, too few actions", () => {
  const context = { regionId: 2 };
  const whole: kvrpcpb.IPrewriteRequest = {
    context,
    mutations: [{ op: Op.Put, key: Uint8Array.of(1), value: Uint8Array.of(2) }],
    primaryLock: Uint8Array.of(1),
    startVersion: 7,
  };
  const encode = (fields: kvrpcpb.IPrewriteRequest): Uint8Array =>
    kvrpcpb.PrewriteRequest.encode(fields).finish();
  const isPlain = (...parts: Uint8Array[]): boolean =>
    PREWRITE.read(Uint8Array.from(parts.flatMap((part) => [...part])));
  assert.ok(isPlain(encode(whole)));
  assert.not.ok(isPlain(encode(whole), encode({ startVersion: 8 })), "start_version twice");
  assert.not.ok(isPlain(encode(whole), encode({ context })), "context twice");
  assert.not.ok(isPlain(encode(whole), Uint8Array.of(0xf8, 0x01, 1)), "field 31");
  assert.not.ok(isPlain(encode(whole), Uint8Array.of(0x25, 1, 2, 3, 4)), "another wire type");
  assert.not.ok(isPlain(encode({ ...whole, context: null })));
  assert.not.ok(isPlain(encode({ ...whole, mutations: [] })));
  assert.not.ok(isPlain(encode({ ...whole, mutations: [{ op: Op.Put }] })), "no key");
  assert.not.ok(isPlain(encode({ ...whole, forUpdateTs: 9 })), "no pessimistic action");
  assert.ok(isPlain(encode({ ...whole, forUpdateTs: 9, pessimisticActions: [1] })));
});

test.run();
