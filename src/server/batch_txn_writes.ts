/**
 * KvPrewrites and KvCommits of one turn of BatchCommands: those that are plain and have one context
 * run together (storage/txn_group.ts), and are answered one by one as their writes are applied. Hot
 * path. The cold path serves the others, as unary calls.
 */
import { type Clock, EMPTY_BYTES, errorMessage } from "../base/index.js";
import { bytesSize, kvrpcpb, toBigInt, u64FieldSize, WireWriter } from "../pb/index.js";
import type {
  ExecDetails,
  GroupedCommand,
  GroupedKind,
  TxnContext,
  TxnReply,
} from "../storage/index.js";
import type { CommitResult, PrewriteResult, RequestOf, ResultOf } from "../txn/index.js";
import {
  CommitFields,
  type ContextFields,
  PrewriteFields,
  type RequestFields,
} from "./batch_txn_parse.js";
import { isOtherCluster } from "./context.js";
import { newExecDetails, writeDetailsToProto } from "./exec_details.js";
import { type GrpcStatus, internal } from "./grpc_status.js";
import type { RpcContext, Served } from "./rpc.js";
import { txnContext } from "./txn_context.js";
import { commitResponse, prewriteResponse } from "./txn_write_handlers.js";

/** Tags of PrewriteResponse: min_commit_ts 3, one_pc_commit_ts 4, exec_details_v2 5. */
const TAG_MIN_COMMIT_TS = 0x18;
const TAG_ONE_PC_COMMIT_TS = 0x20;
const TAG_PREWRITE_DETAILS = 0x2a;
/** Tags of CommitResponse: commit_version 3, exec_details_v2 4. */
const TAG_COMMIT_VERSION = 0x18;
const TAG_COMMIT_DETAILS = 0x22;

/** Requests that were sent with the same context. */
interface Group<K extends GroupedKind> extends ContextFields {
  readonly ctx: TxnContext;
  readonly commands: GroupedCommand<K>[];
}

/** How one kind of command is read and answered. */
interface Kind<K extends GroupedKind> {
  readonly fields: RequestFields<RequestOf<K>>;
  encode(reply: TxnReply<ResultOf<K>>, details: ExecDetails, costs: Costs): Uint8Array;
}

const PREWRITE: Kind<"prewrite"> = { fields: new PrewriteFields(), encode: encodePrewrite };
const COMMIT: Kind<"commit"> = { fields: new CommitFields(), encode: encodeCommit };

/** Called once for each request that was taken, now or later. */
export type OnServed = (place: number, served: Served) => void;

/** Runs the plain ones of encoded KvPrewrites. Returns the places of the others. */
export function servePrewrites(
  context: RpcContext,
  bodies: readonly Uint8Array[],
  onServed: OnServed,
): number[] {
  return serve(PREWRITE, context, bodies, onServed);
}

/** As `servePrewrites`, for KvCommits. */
export function serveCommits(
  context: RpcContext,
  bodies: readonly Uint8Array[],
  onServed: OnServed,
): number[] {
  return serve(COMMIT, context, bodies, onServed);
}

function serve<K extends GroupedKind>(
  { encode, fields }: Kind<K>,
  context: RpcContext,
  bodies: readonly Uint8Array[],
  onServed: OnServed,
): number[] {
  const { clock, logger, storage } = context;
  const { txn } = storage;
  if (txn?.runTogether === undefined) return [...bodies.keys()];
  const groups = new Groups<K>(storage.clusterId);
  const costs = new Costs(clock);
  const others: number[] = [];
  const failed = (error: unknown): GrpcStatus => {
    logger.error("request handler failed", { reason: errorMessage(error) }, error);
    return internal("internal error, see the log of the store");
  };
  for (let place = 0; place < bodies.length; place++) {
    const isPlain = fields.read(bodies[place] as Uint8Array);
    const group = isPlain ? groups.of(fields.contextBytes) : undefined;
    if (group === undefined) {
      others.push(place);
      continue;
    }
    const details = newExecDetails();
    const fail = (error: unknown): void => onServed(place, failed(error));
    const answer = (reply: TxnReply<ResultOf<K>>): void => {
      let served: Served;
      try {
        served = encode(reply, details, costs);
      } catch (error) {
        served = failed(error);
      }
      onServed(place, served);
    };
    group.commands.push({ request: fields.command(group), details, answer, fail });
  }
  for (const { commands, ctx } of groups.all) txn.runTogether(ctx, commands);
  return others;
}

/** Finds the requests with the same bytes of a context. */
class Groups<K extends GroupedKind> {
  readonly all: Group<K>[] = [];
  private readonly byBytes = new Map<string, Group<K> | undefined>();
  private lastBytes: Uint8Array | undefined;
  private last: Group<K> | undefined;

  constructor(private readonly clusterId: bigint) {}

  /** Returns the group of a context; undefined: it is damaged, or of another cluster. */
  of(bytes: Uint8Array): Group<K> | undefined {
    if (this.lastBytes !== undefined && Buffer.compare(this.lastBytes, bytes) === 0) {
      return this.last;
    }
    const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    let group = this.byBytes.get(name);
    if (group === undefined && !this.byBytes.has(name)) {
      group = this.open(bytes);
      this.byBytes.set(name, group);
    }
    this.lastBytes = bytes;
    this.last = group;
    return group;
  }

  private open(bytes: Uint8Array): Group<K> | undefined {
    let context: kvrpcpb.Context;
    try {
      context = kvrpcpb.Context.decode(bytes);
    } catch {
      return undefined;
    }
    if (isOtherCluster(context, this.clusterId)) return undefined;
    const group: Group<K> = {
      ctx: txnContext(context),
      isRetryRequest: context.isRetryRequest,
      txnSource: toBigInt(context.txnSource),
      commands: [],
    };
    this.all.push(group);
    return group;
  }
}

/** Tells what commands cost; those of one write cost the same, and are told the same bytes. */
class Costs {
  private readonly startMs: number;
  private last: ExecDetails | undefined;
  private lastBytes: Uint8Array = EMPTY_BYTES;

  constructor(private readonly clock: Clock) {
    this.startMs = clock.monotonicMs();
  }

  /** Encoded details of a command that is answered now. */
  bytesOf(details: ExecDetails): Uint8Array {
    if (this.last === undefined || !isSame(this.last, details)) {
      this.last = details;
      this.lastBytes = kvrpcpb.ExecDetailsV2.encode(this.of(details)).finish();
    }
    return this.lastBytes;
  }

  of(details: ExecDetails): kvrpcpb.IExecDetailsV2 {
    return writeDetailsToProto(details, this.clock.monotonicMs() - this.startMs);
  }
}

/** Whether two commands cost the same, to the nanosecond: they were written together. */
function isSame(a: ExecDetails, b: ExecDetails): boolean {
  return (
    a.writeMs === b.writeMs &&
    a.waitMs === b.waitMs &&
    a.processMs === b.processMs &&
    a.latchWaitMs === b.latchWaitMs &&
    a.statistics.write.processedKeys === b.statistics.write.processedKeys &&
    a.statistics.processedSize === b.statistics.processedSize &&
    a.statistics.totalVersions === b.statistics.totalVersions
  );
}

function encodePrewrite(
  reply: TxnReply<PrewriteResult>,
  details: ExecDetails,
  costs: Costs,
): Uint8Array {
  if (!reply.ok || reply.value.locks.length > 0) {
    const message = prewriteResponse({ writeDetails: () => costs.of(details) }, reply);
    return kvrpcpb.PrewriteResponse.encode(message).finish();
  }
  const { minCommitTs, onePcCommitTs } = reply.value;
  const told = costs.bytesOf(details);
  const size = u64FieldSize(minCommitTs) + u64FieldSize(onePcCommitTs) + bytesSize(told.length);
  const writer = new WireWriter(new Uint8Array(size));
  writer.u64Field(TAG_MIN_COMMIT_TS, minCommitTs);
  writer.u64Field(TAG_ONE_PC_COMMIT_TS, onePcCommitTs);
  writer.bytesField(TAG_PREWRITE_DETAILS, told);
  return writer.finish();
}

function encodeCommit(
  reply: TxnReply<CommitResult>,
  details: ExecDetails,
  costs: Costs,
): Uint8Array {
  if (!reply.ok) {
    const message = commitResponse({ writeDetails: () => costs.of(details) }, reply);
    return kvrpcpb.CommitResponse.encode(message).finish();
  }
  const { commitTs } = reply.value;
  const told = costs.bytesOf(details);
  const size = u64FieldSize(commitTs) + bytesSize(told.length);
  const writer = new WireWriter(new Uint8Array(size));
  writer.u64Field(TAG_COMMIT_VERSION, commitTs);
  writer.bytesField(TAG_COMMIT_DETAILS, told);
  return writer.finish();
}
