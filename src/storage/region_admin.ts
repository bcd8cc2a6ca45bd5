/**
 * Commands on regions that clients may give: splitting one, and asking up to which log index a
 * replica has to have applied. Not here: PD's orders, which go to peers directly.
 * Source: tikv src/server/service/kv.rs split_region, read_index.
 */
import { compareBytes, equalBytes, ok } from "../base/index.js";
import { keyFromRaw } from "../codec/index.js";
import {
  type AdminResult,
  type CommandResult,
  checkRequest,
  type PeerMsg,
  type RegionInfo,
  type RegionRouter,
} from "../raftstore/index.js";
import type { RawFormat } from "../raw/index.js";
import { type Failure, regionFailure, undelivered } from "./errors.js";
import { decodeVerdict, encodeChecks } from "./read_check.js";
import type { ReadCheck, ReadIndexResult, RegionAdmin, Reply, RequestContext } from "./types.js";

/** Returns region keys, ascending, each once. */
function regionKeys(
  userKeys: readonly Uint8Array[],
  encode: (key: Uint8Array) => Uint8Array,
): Uint8Array[] {
  const keys = userKeys.map(encode).sort(compareBytes);
  return keys.filter((key, i) => i === 0 || !equalBytes(key, keys[i - 1] as Uint8Array));
}

/** Sends the message that `messageOf` makes and resolves with what its `done` was called with. */
function ask<T, R>(
  router: RegionRouter,
  { regionId }: RequestContext,
  messageOf: (done: (result: CommandResult<T>) => void) => PeerMsg,
  select: (value: T) => R,
): Promise<Reply<R>> {
  return new Promise((resolve) => {
    const message = messageOf((result) =>
      resolve(result.ok ? ok(select(result.value)) : regionFailure(result.error)),
    );
    const sent = router.send(Number(regionId), message);
    if (sent !== "sent") resolve(regionFailure(undelivered(sent, regionId)));
  });
}

/** Raises max_ts; a failure when the timestamp is too far ahead of PD's clock. */
export type RaiseMaxTs = (ts: bigint) => Promise<Failure | undefined>;

/** Returns the commands over `router`; raw split keys are encoded as `format` encodes keys. */
export function regionAdmin(
  router: RegionRouter,
  format: RawFormat,
  raise: RaiseMaxTs,
): RegionAdmin {
  return {
    split: (ctx, userKeys, isRaw) =>
      ask(
        router,
        ctx,
        (done) => ({
          kind: "splitWish",
          wish: {
            confVer: ctx.confVer,
            version: ctx.version,
            splitKeys: regionKeys(userKeys, isRaw ? format.encodeKey : keyFromRaw),
            reason: "client",
            done,
          },
        }),
        ({ regions }: AdminResult): readonly RegionInfo[] => regions,
      ),
    readIndex: (ctx, check) => readIndex(router, raise, ctx, check),
  };
}

/** The context that a read brings with it is the check that leaders make for replica reads. */
async function readIndex(
  router: RegionRouter,
  raise: RaiseMaxTs,
  ctx: RequestContext,
  check: ReadCheck | undefined,
): Promise<Reply<ReadIndexResult>> {
  const found = checkRequest(ctx, router.storeId, (id) => router.delegate(id), "replica");
  if (!found.ok) return regionFailure(found.error);
  // Leaders take the timestamp as it is: one of the far future has to be refused here.
  const refused = check === undefined ? undefined : await raise(check.ts);
  if (refused !== undefined) return refused;
  const replicaRead = !found.value.isLeader;
  const checks = check === undefined ? {} : { check: encodeChecks([check]) };
  return ask<{ readonly readIndex: number; readonly verdict: Uint8Array }, ReadIndexResult>(
    router,
    ctx,
    (done) => ({ kind: "read", command: { header: ctx, replicaRead, ...checks, done } }),
    (confirmed) => {
      const [locked] = decodeVerdict(confirmed.verdict);
      return locked === undefined ? { readIndex: BigInt(confirmed.readIndex) } : { locked };
    },
  );
}
