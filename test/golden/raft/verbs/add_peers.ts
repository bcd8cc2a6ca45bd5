/** `add-peers 1,2,3 learners=(4) [options]`: a bootstrapped group; `empty` peers know nobody. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers } from "../env.js";

const WORDS: Readonly<Record<string, string>> = {
  "pre-vote": "preVote",
  "check-quorum": "checkQuorum",
  "inflight-messages": "inflightMessagesMax",
  "inflight-bytes": "inflightBytesMax",
  "message-size": "messageSizeMaxBytes",
  "entry-size": "entrySizeMaxBytes",
  "uncommitted-size": "uncommittedSizeMaxBytes",
  "read-only": "readOnly",
  "commit-tells-applied": "commitTellsApplied",
};

/** Adds the peers and says nothing. */
export function addPeers(env: Env, item: DataCase): void {
  const [voters, learners] = [numbers(item, "voters"), numbers(item, "learners")];
  const options: Record<string, unknown> = {};
  for (const [word, name] of Object.entries(WORDS)) {
    const value = item.args.get(word)?.[0];
    if (value !== undefined) options[name] = parsed(value);
  }
  for (const id of [...voters, ...learners]) env.addPeer(id, voters, learners, options);
  for (const id of numbers(item, "empty")) env.addPeer(id, [], [], options);
  env.take();
}

function parsed(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return /^\d+$/.test(text) ? Number(text) : text;
}
