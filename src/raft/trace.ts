/** Events of the machine for logs and tests. Machines do not log, they trace. */
import type { VoteResult } from "./quorum.js";
import type { Role } from "./types.js";

export type TraceEvent =
  | { readonly kind: "role"; readonly role: Role; readonly term: number; readonly leader: number }
  | { readonly kind: "campaign"; readonly type: string; readonly term: number }
  | {
      readonly kind: "vote";
      readonly to: number;
      readonly term: number;
      readonly granted: boolean;
      readonly pre: boolean;
    }
  | { readonly kind: "poll"; readonly term: number; readonly result: VoteResult }
  | { readonly kind: "commit"; readonly index: number }
  | { readonly kind: "snapshot"; readonly index: number; readonly term: number }
  | { readonly kind: "members"; readonly config: string }
  | { readonly kind: "transfer"; readonly to: number; readonly outcome: "started" | "aborted" };

/** Receives events as they happen; must not call back into the machine. */
export type Trace = (event: TraceEvent) => void;

/** The default: nobody listens. */
export const NO_TRACE: Trace = () => undefined;
