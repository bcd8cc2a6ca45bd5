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
import { regionFailure, undelivered } from "./errors.js";
import type { RegionAdmin, Reply, RequestContext } from "./types.js";

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

/** Returns the commands over `router`; raw split keys are encoded as `format` encodes keys. */
export function regionAdmin(router: RegionRouter, format: RawFormat): RegionAdmin {
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
    readIndex: async (ctx) => {
      const found = checkRequest(ctx, router.storeId, (id) => router.delegate(id), "replica");
      if (!found.ok) return regionFailure(found.error);
      const replicaRead = !found.value.isLeader;
      return ask(
        router,
        ctx,
        (done) => ({ kind: "read", command: { header: ctx, replicaRead, done } }),
        ({ readIndex }: { readonly readIndex: number }) => BigInt(readIndex),
      );
    },
  };
}
