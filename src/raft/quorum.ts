/**
 * Quorum arithmetic over majorities and joint majorities: what is committed, who won. An empty
 * half constrains nothing, so that a plain configuration is a joint one with an empty half.
 * Source: raft §5.3, §6. Warm: once for each acknowledgement, over few voters.
 */

/** What an empty half has committed: everything. */
export const COMMITTED_ALL = Number.POSITIVE_INFINITY;

export type VoteResult = "won" | "lost" | "pending";

/** Returns how many of `count` voters are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** Returns the highest index that a majority of `voters` has acknowledged. */
export function majorityCommitted(
  voters: readonly number[],
  acknowledged: (id: number) => number,
): number {
  if (voters.length === 0) return COMMITTED_ALL;
  const indexes: number[] = [];
  for (let i = 0; i < voters.length; i++) indexes.push(acknowledged(voters[i] as number));
  indexes.sort((a, b) => b - a);
  return indexes[majorityOf(voters.length) - 1] as number;
}

/** Returns the highest index that both halves have committed. */
export function jointCommitted(
  incoming: readonly number[],
  outgoing: readonly number[],
  acknowledged: (id: number) => number,
): number {
  return Math.min(
    majorityCommitted(incoming, acknowledged),
    majorityCommitted(outgoing, acknowledged),
  );
}

/** Returns the outcome of a vote; `voteOf` answers undefined for who has not answered. */
export function majorityVote(
  voters: readonly number[],
  voteOf: (id: number) => boolean | undefined,
): VoteResult {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (let i = 0; i < voters.length; i++) {
    const vote = voteOf(voters[i] as number);
    if (vote === true) granted++;
    else if (vote === undefined) missing++;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

/** Returns the outcome of a vote that both halves must win. */
export function jointVote(
  incoming: readonly number[],
  outgoing: readonly number[],
  voteOf: (id: number) => boolean | undefined,
): VoteResult {
  const first = majorityVote(incoming, voteOf);
  const second = majorityVote(outgoing, voteOf);
  if (first === second) return first;
  return first === "lost" || second === "lost" ? "lost" : "pending";
}
