/** Serves clients' requests with production's storage, as the gRPC edge would. */
import type { RequestContext, Storage } from "../../../src/storage/index.js";
import type { Outcome, Value } from "../history.js";
import type { KvReply, KvRequest } from "./kv.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CF = "default";

function contextOf({ route }: KvRequest): RequestContext {
  const { region, peerId, storeId, isReplicaRead } = route;
  return {
    regionId: region.id,
    confVer: region.confVer,
    version: region.version,
    peerId,
    storeId,
    term: 0n,
    apiVersion: 0,
    keyspaceId: 0,
    replicaRead: isReplicaRead,
    staleRead: false,
  };
}

function textOf(bytes: Uint8Array | undefined): Value {
  return bytes === undefined ? null : decoder.decode(bytes);
}

/** Carries out a request; rejects only if storage does, which is a bug or a dying store. */
export async function serveKv(storage: Storage, request: KvRequest): Promise<KvReply> {
  const { operation } = request;
  const ctx = contextOf(request);
  const key = encoder.encode(request.key);
  const { raw } = storage;
  switch (operation.kind) {
    case "get": {
      const reply = await raw.get(ctx, CF, key);
      return replyOf(reply, (value) => ({ seen: textOf(value), swapped: false }));
    }
    case "put": {
      const pair = { key, value: encoder.encode(operation.value), ttl: 0n };
      return replyOf(await raw.put(ctx, CF, pair, true), nothing);
    }
    case "delete":
      return replyOf(await raw.delete(ctx, CF, key, true), nothing);
    case "cas": {
      const previous = operation.expect === null ? undefined : encoder.encode(operation.expect);
      const value = encoder.encode(operation.value);
      const reply = await raw.compareAndSwap(ctx, CF, key, previous, value, 0n, false);
      return replyOf(reply, ({ swapped, previous: seen }) => ({ seen: textOf(seen), swapped }));
    }
  }
}

function nothing(): Outcome {
  return { seen: null, swapped: false };
}

type Replied<T> = Awaited<ReturnType<Storage["raw"]["put"]>> | { ok: true; value: T };

function replyOf<T>(reply: Replied<T>, outcomeOf: (value: T) => Outcome): KvReply {
  if (reply.ok) return { kind: "done", outcome: outcomeOf(reply.value as T) };
  const { error } = reply;
  if (error.type === "region") return { kind: "refused", error: error.error };
  throw new Error(`key error: ${error.message}`);
}
