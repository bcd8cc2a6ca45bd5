/** The pure folders hold no clock, promise, timer, random source, process or console. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, filesBelow, importsOf } from "./sources.js";

const PURE = [
  "src/base/",
  "src/pb/",
  "src/kernel/",
  "src/codec/",
  "src/raft/",
  "src/mvcc/",
  "src/txn/",
  "src/raw/",
  "src/pd/core/",
  "src/pd/schedule/",
  "src/pd/tso/",
  "src/pd/id/",
  "src/pd/placement/",
  "src/raftstore/apply/",
  "src/raftstore/cmd_codec.ts",
  "src/raftstore/entry_storage.ts",
  "src/raftstore/epoch.ts",
  "src/raftstore/epoch_barrier.ts",
  "src/raftstore/fsm/",
  "src/raftstore/pd_order.ts",
  "src/raftstore/peer_health.ts",
  "src/raftstore/propose_admin.ts",
  "src/raftstore/lease.ts",
  "src/raftstore/peer",
  "src/raftstore/proposal.ts",
  "src/raftstore/read.ts",
  "src/raftstore/ready.ts",
  "src/raftstore/router.ts",
  "src/raftstore/store_loader.ts",
  "src/raftstore/store_meta.ts",
  "src/raftstore/store_peers.ts",
  "src/raftstore/ticker.ts",
  "src/raftstore/write_task.ts",
  "src/raftstore/split/",
];
/** Compiles and instantiates the modules: the one place that touches the environment. */
const EXEMPT = new Set(["src/kernel/loader.ts"]);
const BANNED =
  /\b(async|await|Promise|Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|process|console)\b|Math\.random/;

function problemsOf(path: string): string[] {
  const problems: string[] = [];
  codeOf(path)
    .split("\n")
    .forEach((line, index) => {
      const match = BANNED.exec(line);
      if (match !== null) problems.push(`${path}:${index + 1}: ${match[0]}`);
    });
  for (const edge of importsOf(path)) {
    if (edge.specifier.startsWith("node:")) problems.push(`${path}: imports ${edge.specifier}`);
  }
  return problems;
}

test("pure folders stay pure", () => {
  const files = filesBelow("src", ".ts").filter(
    (path) => PURE.some((part) => path.startsWith(part)) && !EXEMPT.has(path),
  );
  assert.ok(files.length > 10, "the scan found no pure file");
  assert.is(files.flatMap(problemsOf).join("\n"), "");
});

test("the rule sees a driver's code", () => {
  assert.ok(problemsOf("src/engine/write_queue.ts").length > 0);
});

test.run();
