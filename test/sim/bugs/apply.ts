/** Bugs of applying and of snapshots. */
import type { Bug } from "./bug.js";

export const APPLY_BUGS: readonly Bug[] = [
  {
    name: "apply_index_before_data",
    what: "the applied index is written in another batch than its data, before it",
    file: "src/raftstore/apply/context.ts",
    edits: [
      {
        find: "data.push(this.states.bytes());",
        replace: "this.#writer.submit(this.states.bytes(), newFlight());",
      },
    ],
  },
  {
    name: "stale_epoch_applied",
    what: "a write is applied although its epoch is stale: the key may belong to another region",
    file: "src/raftstore/apply/delegate.ts",
    edits: [{ find: "if (command.header.version !== this.#version) {", replace: "if (false) {" }],
  },
  {
    name: "stale_admin_applied",
    what: "admin commands are applied whatever their epoch",
    file: "src/raftstore/apply/exec_admin.ts",
    edits: [{ find: "if (stale !== undefined) {", replace: "if (false) {" }],
  },
  {
    name: "lost_proposal_acknowledged",
    what: "a proposal whose place in the log went to another entry is answered with success",
    file: "src/raftstore/apply/delegate.ts",
    edits: [
      {
        find: "ctx.answer(proposal.done, STALE_COMMAND);",
        replace: "ctx.answer(proposal.done, NOTHING_CHANGED);",
      },
    ],
  },
  {
    name: "answer_before_applied",
    what: "a write is acknowledged when its entry is taken, before its data is there",
    file: "src/raftstore/apply/writer.ts",
    edits: [
      {
        find: "this.#last = flight;",
        replace:
          "for (const { done, result } of flight.answers.splice(0)) done(result); this.#last = flight;",
      },
    ],
  },
  {
    name: "snapshot_keeps_old_data",
    what: "what a region held before is not deleted when a snapshot is applied",
    file: "src/raftstore/snapshot/apply.ts",
    edits: [
      {
        find: "deleteSpans(deps, spansOf(task), 0, () => {",
        replace: "deleteSpans(deps, [], 0, () => {",
      },
    ],
  },
];
