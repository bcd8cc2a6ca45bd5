/**
 * The second phase: commits keys that are locked, the primary first and waited for, the others in the
 * background. Source: client-go txnkv/transaction/commit.go.
 */
import { keyInRange } from "../../base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../pb/index.js";
import type { Backoffer } from "../backoff.js";
import type { CachedRegion } from "../region_cache.js";
import { cutChunks, sendChunks } from "../region_chunks.js";
import { type Attempts, RELOAD } from "../region_request.js";
import { type CommitMutation, leavesLock } from "./commit_plan.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { CommitUndeterminedError } from "./errors.js";
import { errorOf } from "./key_error.js";
import { type CommitInput, MUTATION_LIMIT } from "./prewrite.js";

export class Committer {
  readonly #input: CommitInput;
  readonly #context: TxnContext;
  /** Keys that were committed together with the primary. */
  readonly #withPrimary = new Set<Uint8Array>();

  constructor(input: CommitInput, context: TxnContext) {
    this.#input = input;
    this.#context = context;
  }

  /**
   * Commits the primary, and with it the transaction; returns commit_ts. Throws CommitUndetermined
   * when that may have happened and is not known; after everything else it has not and will not.
   */
  async commitPrimary(op: Backoffer): Promise<bigint> {
    const attempts = freshAttempts();
    try {
      return await this.#commitPrimary(attempts, op);
    } catch (error) {
      if (attempts.isOpen) throw new CommitUndeterminedError(this.#input.startTs, error);
      throw error;
    }
  }

  /** Commits what is left of a transaction that is committed, in the background. */
  commitRest(commitTs: bigint): Promise<void> {
    const rest = this.#input.mutations.filter(
      (mutation) => leavesLock(mutation) && !this.#withPrimary.has(mutation.key),
    );
    if (rest.length === 0) return Promise.resolve();
    return this.#context.background.run("commit secondaries", () => this.#all(rest, commitTs));
  }

  async #commitPrimary(attempts: Attempts, op: Backoffer): Promise<bigint> {
    const { primary, startTs } = this.#input;
    const { locator, mode, sender } = this.#context.parts;
    let commitTs = await this.#context.timestamp(op);
    for (;;) {
      const region = await locator.locate(primary, op);
      const keys = this.#primaryBatch(region);
      const body = this.#body(keys, commitTs, kvrpcpb.CommitRole.Primary);
      const response = await sender.send(region, "Commit", body, op, attempts);
      if (response === RELOAD) continue;
      // What the store says settles what earlier requests have done.
      attempts.isOpen = false;
      const { error } = response;
      if (error === null) {
        for (const key of keys) this.#withPrimary.add(key);
        return commitTs;
      }
      if (error.commitTsExpired === null) throw errorOf(error, startTs, mode);
      const least = toBigInt(error.commitTsExpired.minCommitTs);
      op.note(`a reader has pushed commit_ts to ${least}`);
      commitTs = await this.#context.timestamp(op);
    }
  }

  /** The primary and, as far as they fit beside it, other keys of its region. */
  #primaryBatch(region: CachedRegion): Uint8Array[] {
    const { mutations, primary } = this.#input;
    const others = mutations.filter(
      (mutation) =>
        mutation.key !== primary &&
        leavesLock(mutation) &&
        keyInRange(mutation.key, region.startKey, region.endKey),
    );
    const first = mutations.filter(({ key }) => key === primary);
    const [batch = []] = cutChunks([...first, ...others], COMMIT_LIMIT);
    return batch.map(({ key }) => key);
  }

  async #all(rest: readonly CommitMutation[], commitTs: bigint): Promise<void> {
    const { locator, mode, sender } = this.#context.parts;
    const { concurrencyMax } = this.#context.options;
    const op = this.#context.backgroundOp();
    await sendChunks(rest, COMMIT_LIMIT, { locator, op, concurrencyMax }, async (region, part) => {
      const keys = part.map(({ key }) => key);
      const body = this.#body(keys, commitTs, kvrpcpb.CommitRole.Secondary);
      const response = await sender.send(region, "Commit", body, op, freshAttempts());
      if (response === RELOAD) return RELOAD;
      if (response.error !== null) throw errorOf(response.error, this.#input.startTs, mode);
      return response;
    });
  }

  #body(
    keys: Uint8Array[],
    commitTs: bigint,
    commitRole: kvrpcpb.CommitRole,
  ): kvrpcpb.ICommitRequest {
    return {
      startVersion: fromBigInt(this.#input.startTs),
      keys,
      commitVersion: fromBigInt(commitTs),
      commitRole,
      primaryKey: this.#input.primary,
    };
  }
}

const COMMIT_LIMIT = { ...MUTATION_LIMIT, sizeOf: ({ key }: CommitMutation) => key.length };
