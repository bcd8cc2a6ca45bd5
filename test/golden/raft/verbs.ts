/** The verbs of the Raft scripts by name, and a way to play them from code. */
import { caseOf, type DataCase } from "../../support/datadriven.js";
import type { Env } from "./env.js";
import { addPeers } from "./verbs/add_peers.js";
import { campaign } from "./verbs/campaign.js";
import { compact } from "./verbs/compact.js";
import { confChange } from "./verbs/conf_change.js";
import { crash, restart } from "./verbs/crash.js";
import { deliver, drop } from "./verbs/deliver.js";
import { fetched, unavailable } from "./verbs/fetch.js";
import { fast, persist, slow } from "./verbs/persist.js";
import { propose } from "./verbs/propose.js";
import { read } from "./verbs/read.js";
import { reportSnapshot, reportUnreachable } from "./verbs/report.js";
import { stabilize } from "./verbs/stabilize.js";
import { log, messages, status } from "./verbs/status.js";
import { tick } from "./verbs/tick.js";
import { transfer } from "./verbs/transfer.js";

export const VERBS: Readonly<Record<string, (env: Env, item: DataCase) => void>> = {
  "add-peers": addPeers,
  campaign,
  compact,
  "conf-change": confChange,
  crash,
  deliver,
  drop,
  fast,
  fetched,
  log,
  messages,
  persist,
  propose,
  read,
  "report-snapshot": reportSnapshot,
  "report-unreachable": reportUnreachable,
  restart,
  slow,
  stabilize,
  status,
  tick,
  transfer,
  unavailable,
};

/** Plays lines such as "campaign 1" and returns what they say. */
export function play(env: Env, ...lines: string[]): string {
  return lines
    .map((line) => {
      const item = caseOf(line);
      const verb = VERBS[item.verb];
      if (verb === undefined) throw new Error(`no verb ${item.verb}`);
      verb(env, item);
      return env.take();
    })
    .join("\n");
}
