/**
 * Plain KvPrewrites and KvCommits from the wire, without a message object: fields go from the bytes
 * into the command. A request that has other fields, a field twice, or is damaged is not plain: the
 * cold path takes it, and says what is wrong. Hot path. Source: kvrpcpb.{Prewrite,Commit}Request.
 */
import { EMPTY_BYTES } from "../base/index.js";
import { keyFromRaw } from "../codec/index.js";
import { MalformedWire, WireReader } from "../pb/index.js";
import type { CommitRequest, Mutation, PessimisticAction, PrewriteRequest } from "../txn/index.js";
import { ACTIONS, ASSERTION_LEVELS, ASSERTIONS, OPS } from "./txn_requests.js";

/** What the context adds to a command. */
export interface ContextFields {
  readonly isRetryRequest: boolean;
  readonly txnSource: bigint;
}

/** Tags: number of the field times 8, plus the wire type. */
const PREWRITE = {
  context: 0x0a,
  mutations: 0x12,
  primary: 0x1a,
  startVersion: 0x20,
  lockTtl: 0x28,
  skipConstraintCheck: 0x30,
  pessimisticActions: 0x3a,
  txnSize: 0x40,
  forUpdateTs: 0x48,
  minCommitTs: 0x50,
  useAsyncCommit: 0x58,
  secondaries: 0x62,
  tryOnePc: 0x68,
  maxCommitTs: 0x70,
  assertionLevel: 0x78,
} as const;
const MUTATION = { op: 0x08, key: 0x12, value: 0x1a, assertion: 0x20 } as const;
const COMMIT = {
  context: 0x0a,
  startVersion: 0x10,
  keys: 0x1a,
  commitVersion: 0x20,
  commitRole: 0x30,
  primaryKey: 0x3a,
  useAsyncCommit: 0x40,
} as const;

/** Thrown while a request is read that is valid, and not plain. */
class NotPlain extends Error {}
const NOT_PLAIN = new NotPlain("the request is served by the cold path");

type Writable<T> = { -readonly [F in keyof T]: T[F] };

/** Reads requests of a kind, one after the other. */
export abstract class RequestFields<R> {
  protected reader = new WireReader(EMPTY_BYTES);
  protected context: Uint8Array | undefined;
  /** A bit for each field that may occur once, and has. */
  private seen = 0;

  /** Returns whether the request is plain; then the fields are set, until the next call. */
  read(body: Uint8Array): boolean {
    this.reader = new WireReader(body);
    this.context = undefined;
    this.seen = 0;
    this.reset();
    try {
      while (this.reader.more) this.field(this.reader.tag());
      return this.isWhole();
    } catch (error) {
      if (error === NOT_PLAIN || error instanceof MalformedWire) return false;
      throw error;
    }
  }

  /** The bytes of the context. */
  get contextBytes(): Uint8Array {
    return this.context as Uint8Array;
  }

  protected abstract reset(): void;
  protected abstract field(tag: number): void;
  protected abstract isWhole(): boolean;
  /** Returns the command of the request that was read last; call it once. */
  abstract command(fields: ContextFields): R;

  /** Notes a field that may occur once. */
  protected once(tag: number): void {
    const bit = 1 << (tag >>> 3);
    if ((this.seen & bit) !== 0) throw NOT_PLAIN;
    this.seen |= bit;
  }

  protected bool(): boolean {
    return this.small(1) === 1;
  }

  /** A number of at most `max`. */
  protected small(max: number): number {
    const { reader } = this;
    reader.varint();
    if (reader.high !== 0 || reader.low > max) throw NOT_PLAIN;
    return reader.low;
  }
}

export class PrewriteFields extends RequestFields<PrewriteRequest> {
  private mutations: Writable<Mutation>[] = [];
  private secondaries: Uint8Array[] = [];
  private actions: number[] = [];
  private request = newPrewrite();

  protected override reset(): void {
    this.mutations = [];
    this.secondaries = [];
    this.actions = [];
    this.request = newPrewrite();
  }

  protected override isWhole(): boolean {
    if (this.context === undefined || this.mutations.length === 0) return false;
    const isPessimistic = this.request.forUpdateTs !== 0n;
    if (!isPessimistic) return true;
    return this.actions.length >= this.mutations.length;
  }

  override command({ isRetryRequest, txnSource }: ContextFields): PrewriteRequest {
    const { actions, mutations, request, secondaries } = this;
    if (request.forUpdateTs !== 0n) {
      for (const [i, mutation] of mutations.entries()) {
        mutation.pessimisticAction = ACTIONS[actions[i] as number] as PessimisticAction;
      }
    }
    request.mutations = mutations;
    request.isRetryRequest = isRetryRequest;
    request.txnSource = txnSource;
    if (request.useAsyncCommit) request.secondaries = secondaries;
    return request;
  }

  protected override field(tag: number): void {
    const { reader, request } = this;
    switch (tag) {
      case PREWRITE.mutations:
        this.mutations.push(this.mutation());
        return;
      case PREWRITE.secondaries:
        this.secondaries.push(reader.bytesField());
        return;
      case PREWRITE.pessimisticActions: {
        const packed = reader.enter();
        while (packed.more) {
          const action = packed.number();
          if (ACTIONS[action] === undefined) throw NOT_PLAIN;
          this.actions.push(action);
        }
        return;
      }
      case PREWRITE.context:
        this.once(tag);
        this.context = reader.bytesField();
        return;
      case PREWRITE.primary:
        this.once(tag);
        request.primary = reader.bytesField();
        return;
      case PREWRITE.assertionLevel:
        this.once(tag);
        request.assertionLevel = ASSERTION_LEVELS[this.small(2)] as "off";
        return;
      default:
        this.once(tag);
        this.number(tag);
    }
  }

  private number(tag: number): void {
    const { reader, request } = this;
    switch (tag) {
      case PREWRITE.startVersion:
        request.startTs = reader.u64();
        return;
      case PREWRITE.lockTtl:
        request.lockTtlMs = reader.u64();
        return;
      case PREWRITE.txnSize:
        request.txnSize = reader.u64();
        return;
      case PREWRITE.forUpdateTs:
        request.forUpdateTs = reader.u64();
        return;
      case PREWRITE.minCommitTs:
        request.minCommitTs = reader.u64();
        return;
      case PREWRITE.maxCommitTs:
        request.maxCommitTs = reader.u64();
        return;
      case PREWRITE.skipConstraintCheck:
        request.skipConstraintCheck = this.bool();
        return;
      case PREWRITE.useAsyncCommit:
        request.useAsyncCommit = this.bool();
        return;
      case PREWRITE.tryOnePc:
        request.tryOnePc = this.bool();
        return;
      default:
        throw NOT_PLAIN;
    }
  }

  private mutation(): Writable<Mutation> {
    const { reader } = this;
    const outer = reader.end;
    reader.end = reader.inner();
    let [op, assertion, seen] = [0, 0, 0];
    let key: Uint8Array | undefined;
    let value = EMPTY_BYTES;
    while (reader.more) {
      const tag = reader.tag();
      const bit = 1 << (tag >>> 3);
      if ((seen & bit) !== 0) throw NOT_PLAIN;
      seen |= bit;
      if (tag === MUTATION.key) key = reader.bytesField();
      else if (tag === MUTATION.value) value = reader.bytesField();
      else if (tag === MUTATION.op) op = this.small(0xff);
      else if (tag === MUTATION.assertion) assertion = this.small(2);
      else throw NOT_PLAIN;
    }
    reader.end = outer;
    const name = OPS.get(op);
    if (key === undefined || name === undefined) throw NOT_PLAIN;
    return {
      op: name,
      key: keyFromRaw(key),
      value: name === "put" || name === "insert" ? value : EMPTY_BYTES,
      assertion: ASSERTIONS[assertion] as "none",
      pessimisticAction: "skipPessimisticCheck",
      expectedForUpdateTs: 0n,
    };
  }
}

function newPrewrite(): Writable<PrewriteRequest> {
  return {
    kind: "prewrite",
    mutations: [],
    primary: EMPTY_BYTES,
    startTs: 0n,
    lockTtlMs: 0n,
    forUpdateTs: 0n,
    txnSize: 0n,
    minCommitTs: 0n,
    maxCommitTs: 0n,
    skipConstraintCheck: false,
    isRetryRequest: false,
    secondaries: undefined,
    useAsyncCommit: false,
    tryOnePc: false,
    assertionLevel: "off",
    txnSource: 0n,
  };
}

export class CommitFields extends RequestFields<CommitRequest> {
  private keys: Uint8Array[] = [];
  private startTs = 0n;
  private commitTs = 0n;

  protected override reset(): void {
    this.keys = [];
    this.startTs = 0n;
    this.commitTs = 0n;
  }

  protected override isWhole(): boolean {
    return this.context !== undefined && this.keys.length > 0;
  }

  override command(): CommitRequest {
    return { kind: "commit", keys: this.keys, startTs: this.startTs, commitTs: this.commitTs };
  }

  /** Role, primary and async commit are hints that nothing here needs. */
  protected override field(tag: number): void {
    const { reader } = this;
    if (tag === COMMIT.keys) {
      this.keys.push(keyFromRaw(reader.bytesField()));
      return;
    }
    this.once(tag);
    if (tag === COMMIT.context) this.context = reader.bytesField();
    else if (tag === COMMIT.startVersion) this.startTs = reader.u64();
    else if (tag === COMMIT.commitVersion) this.commitTs = reader.u64();
    else if (tag === COMMIT.commitRole || tag === COMMIT.useAsyncCommit) this.small(0xff);
    else if (tag === COMMIT.primaryKey) reader.bytesField();
    else throw NOT_PLAIN;
  }
}
