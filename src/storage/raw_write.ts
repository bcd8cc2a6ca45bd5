/**
 * Raw writes. Order of checks: API version, CF, key size, TTL, then context and keys right before
 * the write is submitted. Writes marked for CAS, and CAS itself, run under latches.
 * Source: tikv src/storage/mod.rs raw_put … raw_compare_and_swap_atomic.
 */
import { ok } from "../base/index.js";
import { dataEndKey, dataKey, keyAppendTs } from "../codec/index.js";
import type { CfName, WriteBatch } from "../engine/index.js";
import type { ReadDelegate, RequestHeader } from "../raftstore/index.js";
import {
  checkKeySize,
  decideCas,
  getStored,
  type RawCommand,
  rawCf,
  TTL_NOT_ENABLED,
  V2_TOMBSTONE,
} from "../raw/index.js";
import type { CausalTs } from "./causal_ts.js";
import { keyFailure } from "./errors.js";
import { checkRangeInRegion } from "./kv_engine.js";
import type { LatchQueue } from "./latches.js";
import {
  keysFailure,
  nowSeconds,
  type RawDeps,
  rangeVersionFailure,
  versionFailure,
} from "./raw_context.js";
import type { RawPair, ReadReply, Reply, RequestContext } from "./types.js";

/** One change of an encoded key; `value` undefined = delete. */
interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** A write that passed the checks of its form. */
interface CheckedWrite {
  readonly cf: CfName;
  readonly keys: readonly Uint8Array[];
}

export interface CasResult {
  readonly swapped: boolean;
  readonly previous: Uint8Array | undefined;
}

export class RawWrites {
  constructor(
    private readonly deps: RawDeps,
    private readonly latches: LatchQueue,
    private readonly causalTs: CausalTs,
  ) {}

  async put(
    ctx: RequestContext,
    cf: string,
    pairs: readonly RawPair[],
    options: { readonly command: RawCommand; readonly forCas: boolean },
  ): Promise<Reply<void>> {
    const command = options.forCas ? "raw_atomic_store" : options.command;
    const checked = this.checkForm(command, ctx, cf, pairs.map(keyOf));
    if (!checked.ok) return checked;
    if (!this.deps.format.ttlEnabled && pairs.some((pair) => pair.ttl !== 0n)) {
      return keyFailure(TTL_NOT_ENABLED);
    }
    const { format, clock } = this.deps;
    const changes = (): Change[] => {
      const now = nowSeconds(clock);
      return pairs.map((pair, i) => ({
        key: checked.value.keys[i] as Uint8Array,
        value: format.encodeValue(pair.value, pair.ttl, now),
      }));
    };
    return this.run(command, ctx, checked.value, options.forCas, changes);
  }

  async delete(
    ctx: RequestContext,
    cf: string,
    keys: readonly Uint8Array[],
    options: { readonly command: RawCommand; readonly forCas: boolean },
  ): Promise<Reply<void>> {
    const command = options.forCas ? "raw_atomic_store" : options.command;
    const checked = this.checkForm(command, ctx, cf, keys);
    if (!checked.ok) return checked;
    const changes = (): Change[] => checked.value.keys.map((key) => ({ key, value: undefined }));
    return this.run(command, ctx, checked.value, options.forCas, changes);
  }

  /** Deletes `[startKey, endKey)`; an empty end is the end of all keys, if the region reaches it. */
  async deleteRange(
    ctx: RequestContext,
    cfText: string,
    startKey: Uint8Array,
    endKey: Uint8Array,
  ): Promise<Reply<void>> {
    const command = "raw_delete_range";
    const { deps } = this;
    deps.metrics.onCommand(command);
    const tooLarge = checkKeySize([startKey, endKey], deps.options.maxKeySizeBytes);
    if (tooLarge !== undefined) return keyFailure(tooLarge);
    const refused = rangeVersionFailure(deps, ctx, command, [{ startKey, endKey }]);
    if (refused !== undefined) return refused;
    const cf = rawCf(cfText, deps.options.apiVersion);
    if ("error" in cf) return keyFailure(cf.error);
    const start = deps.format.encodeKey(startKey);
    const end = endKey.length === 0 ? endKey : deps.format.encodeKey(endKey);
    const peer = deps.kv.check(ctx);
    if (!peer.ok) return peer;
    if (end.length > 0 && Buffer.compare(start, end) >= 0) {
      return keyFailure(invalidDeleteRange(start, end));
    }
    const outside = checkRangeInRegion(start, end, peer.value.region);
    if (outside !== undefined) return outside;
    const batch = deps.kv.newBatch();
    batch.deleteRange(cf.cf, dataKey(start), dataEndKey(end));
    return this.timed(command, () => deps.kv.write(peer.value, ctx, batch, { frees: true }));
  }

  compareAndSwap(
    ctx: RequestContext,
    cf: string,
    key: Uint8Array,
    request: {
      readonly previous: Uint8Array | undefined;
      readonly value: Uint8Array;
      readonly ttl: bigint;
      readonly remove: boolean;
    },
  ): Promise<Reply<CasResult>> {
    const command = "raw_compare_and_swap";
    const checked = this.checkForm(command, ctx, cf, [key]);
    if (!checked.ok) return Promise.resolve(checked);
    if (!this.deps.format.ttlEnabled && request.ttl !== 0n) {
      return Promise.resolve(keyFailure(TTL_NOT_ENABLED));
    }
    const { format, clock } = this.deps;
    const [encoded] = checked.value.keys as [Uint8Array];
    return this.latched(command, checked.value.keys, async () => {
      const now = nowSeconds(clock);
      const read = await this.readForCas(ctx, checked.value);
      if (!read.ok) return read;
      const decision = decideCas(format, read.value.stored, request, now);
      const { swapped, previous, write } = decision;
      if (write !== "none") {
        const value =
          write === "put" ? format.encodeValue(request.value, request.ttl, now) : undefined;
        // The term of the read: another leader since then may have written the key.
        const header = { ...ctx, term: read.value.term };
        const written = await this.write(header, checked.value, () => [{ key: encoded, value }]);
        if (!written.ok) return written;
      }
      return ok({ swapped, previous });
    });
  }

  /** Reads the one key of a CAS on the leader, with the term in which it was read. */
  private readForCas(
    ctx: RequestContext,
    { cf, keys }: CheckedWrite,
  ): ReadReply<{ readonly stored: Uint8Array | undefined; readonly term: bigint }> {
    return this.deps.kv.read({ ...ctx, replicaRead: false, staleRead: false }, (peer) => {
      const outside = keysFailure(keys, peer);
      if (outside !== undefined) return outside;
      const stored = this.readStored(peer, cf, keys[0] as Uint8Array);
      return ok({ stored, term: peer.term });
    });
  }

  /** The checks that need neither context nor data. */
  private checkForm(
    command: RawCommand,
    ctx: RequestContext,
    cfText: string,
    userKeys: readonly Uint8Array[],
  ): Reply<CheckedWrite> {
    const { deps } = this;
    deps.metrics.onCommand(command);
    const refused = versionFailure(deps, ctx, command, userKeys);
    if (refused !== undefined) return refused;
    const cf = rawCf(cfText, deps.options.apiVersion);
    if ("error" in cf) return keyFailure(cf.error);
    const tooLarge = checkKeySize(userKeys, deps.options.maxKeySizeBytes);
    if (tooLarge !== undefined) return keyFailure(tooLarge);
    return ok({ cf: cf.cf, keys: userKeys.map(deps.format.encodeKey) });
  }

  private run(
    command: RawCommand,
    ctx: RequestContext,
    checked: CheckedWrite,
    forCas: boolean,
    changes: () => Change[],
  ): Promise<Reply<void>> {
    if (forCas) return this.latched(command, checked.keys, () => this.write(ctx, checked, changes));
    return this.timed(command, () => this.write(ctx, checked, changes));
  }

  private latched<T>(
    command: RawCommand,
    keys: readonly Uint8Array[],
    action: () => Promise<Reply<T>>,
  ): Promise<Reply<T>> {
    const { clock, metrics } = this.deps;
    const queued = clock.monotonicMs();
    return this.timed(command, () =>
      this.latches.with(keys, () => {
        metrics.observeLatchWait(command, clock.monotonicMs() - queued);
        return action();
      }),
    );
  }

  /** Checks context and keys and submits the changes in one turn. */
  private async write(
    header: RequestHeader,
    { cf, keys }: CheckedWrite,
    changes: () => Change[],
  ): Promise<Reply<void>> {
    let ts: bigint | undefined;
    if (this.deps.format.versioned) {
      const taken = await this.causalTs.take();
      if (!taken.ok) return taken;
      ts = taken.value;
    }
    const peer = this.checkPlace(header, keys);
    if (!peer.ok) return peer;
    const batch = this.deps.kv.newBatch();
    const list = changes();
    for (const change of list) addChange(batch, cf, change, ts);
    const frees = list.every((change) => change.value === undefined);
    return this.deps.kv.write(peer.value, header, batch, { frees });
  }

  private checkPlace(header: RequestHeader, keys: readonly Uint8Array[]): Reply<ReadDelegate> {
    const peer = this.deps.kv.check(header);
    return peer.ok ? (keysFailure(keys, peer.value) ?? peer) : peer;
  }

  private readStored(peer: ReadDelegate, cf: CfName, key: Uint8Array): Uint8Array | undefined {
    const { format, kv } = this.deps;
    if (!format.versioned) return kv.latest().get(cf, key);
    const snapshot = kv.snapshot(peer);
    try {
      return getStored(format, snapshot, cf, key);
    } finally {
      snapshot.close();
    }
  }

  private async timed<T>(command: RawCommand, action: () => Promise<Reply<T>>): Promise<Reply<T>> {
    const { clock, metrics } = this.deps;
    const started = clock.monotonicMs();
    const reply = await action();
    metrics.observeDuration(command, clock.monotonicMs() - started);
    if (!reply.ok && reply.error.type === "region" && reply.error.error.kind === "serverIsBusy") {
      metrics.onTooBusy(command);
    }
    return reply;
  }
}

const keyOf = (pair: RawPair): Uint8Array => pair.key;

function addChange(batch: WriteBatch, cf: CfName, change: Change, ts: bigint | undefined): void {
  if (ts !== undefined) {
    // V2 deletes by writing a version, so that change feeds can see it.
    batch.put(cf, dataKey(keyAppendTs(change.key, ts)), change.value ?? V2_TOMBSTONE);
  } else if (change.value === undefined) {
    batch.delete(cf, dataKey(change.key));
  } else {
    batch.put(cf, dataKey(change.key), change.value);
  }
}

/** TiKV's text, keys as lists of bytes. */
function invalidDeleteRange(start: Uint8Array, end: Uint8Array): string {
  const show = (bytes: Uint8Array): string => `[${[...bytes].join(", ")}]`;
  return `invalid delete range command, start_key: ${show(start)}, end_key: ${show(end)}`;
}
