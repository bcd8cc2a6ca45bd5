/**
 * One commit from beginning to end: prewrite, decide, commit, or undo. What may happen when is in
 * commit_plan.ts; requests are in prewrite.ts and commit.ts. Percolator §2.2.
 */
import { fromBigInt } from "../../pb/index.js";
import type { Backoffer } from "../backoff.js";
import { sendChunks } from "../region_chunks.js";
import { RELOAD } from "../region_request.js";
import { Committer } from "./commit.js";
import { type CommitMutation, leavesLock } from "./commit_plan.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { CommitUndeterminedError } from "./errors.js";
import { errorOf } from "./key_error.js";
import type { LockResolver } from "./lock_resolver.js";
import { UNDO_WAIT_MS } from "./options.js";
import { type CommitInput, MUTATION_LIMIT, Prewriter } from "./prewrite.js";

/**
 * Commits a transaction; returns commit_ts. Throws CommitUndetermined when it may be committed and
 * that is not known; after everything else it is not, and its locks are being removed.
 */
export async function commitTwoPhase(
  input: CommitInput,
  context: TxnContext,
  resolver: LockResolver,
  op: Backoffer,
): Promise<bigint> {
  const prewriter = new Prewriter(input, context, resolver);
  const { progress } = prewriter;
  try {
    await prewriter.run(op);
  } catch (error) {
    if (progress.mayBeCommitted) throw new CommitUndeterminedError(input.startTs, error);
    // Pessimistic locks are there whatever became of the prewrites.
    const isLocked = ({ key }: CommitMutation): boolean =>
      input.isPessimistic || progress.mayBeLocked(key);
    await undo(input, input.mutations.filter(isLocked), context);
    throw error;
  }
  if (progress.mode === "onePc") return progress.commitTs;
  const committer = new Committer(input, context);
  if (progress.mode === "async") {
    await committer.commitRest(progress.commitTs);
    return progress.commitTs;
  }
  try {
    const commitTs = await committer.commitPrimary(op);
    await committer.commitRest(commitTs);
    return commitTs;
  } catch (error) {
    if (!(error instanceof CommitUndeterminedError)) await undo(input, input.mutations, context);
    throw error;
  }
}

/** Rolls keys back, in the background if it takes long. */
async function undo(
  input: CommitInput,
  mutations: readonly CommitMutation[],
  context: TxnContext,
): Promise<void> {
  const locks = mutations.filter(leavesLock);
  if (locks.length === 0) return;
  await context.background.runAwhile("roll back", UNDO_WAIT_MS, async () => {
    const { locator, mode, sender } = context.parts;
    const op = context.backgroundOp();
    const deps = { locator, op, concurrencyMax: context.options.concurrencyMax };
    await sendChunks<CommitMutation>(locks, MUTATION_LIMIT, deps, async (region, part) => {
      const keys = part.map(({ key }) => key);
      const body = { startVersion: fromBigInt(input.startTs), keys };
      const response = await sender.send(region, "BatchRollback", body, op, freshAttempts());
      if (response === RELOAD) return RELOAD;
      if (response.error !== null) throw errorOf(response.error, input.startTs, mode);
      return response;
    });
  });
}
