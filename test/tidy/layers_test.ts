/** Imports go down the layers, and across folders only through index.ts or internal.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { filesBelow, type Import, importsOf, insideSrc } from "./sources.js";

/** Folder → layer; pd is split because its cores are pure. */
const LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  pb: 1,
  kernel: 1,
  config: 1,
  codec: 2,
  engine: 2,
  raft: 3,
  mvcc: 3,
  txn: 3,
  raw: 3,
  copr: 3,
  "pd/core": 3,
  "pd/schedule": 3,
  "pd/tso": 3,
  "pd/id": 3,
  "pd/gc": 3,
  "pd/placement": 3,
  net: 4,
  batch: 4,
  raftstore: 4,
  storage: 4,
  pd_client: 5,
  "pd/storage": 5,
  "pd/server": 5,
  pd: 5,
  server: 5,
  client: 5,
  worker: 5,
  status: 6,
  node: 6,
  cli: 6,
  testing: 6,
};

/** Arrows between folders of one layer. */
const SAME_LAYER = new Set([
  "engine>codec",
  "txn>mvcc",
  "copr>mvcc",
  "pd/schedule>pd/core",
  "raftstore>batch",
  "storage>raftstore",
  "pd/server>pd/storage",
  "pd>pd/server",
  "pd>pd/storage",
  "server>pd_client",
  "client>pd_client",
  "worker>copr",
  "node>status",
  "cli>node",
  "cli>status",
  "cli>testing",
  "testing>node",
]);

/** What the client must not know, whatever the layers say. */
const FORBIDDEN = new Set([
  "client>storage",
  "client>raftstore",
  "client>engine",
  "pd_client>engine",
]);

function folderOf(path: string): string {
  const parts = (insideSrc(path) as string).split("/");
  const two = parts.slice(0, 2).join("/");
  return two in LAYERS && parts.length > 2 ? two : (parts[0] as string);
}

function topOf(folder: string): string {
  return folder.split("/")[0] as string;
}

function problemOf(edge: Import): string | undefined {
  if (edge.target === undefined) return undefined;
  const where = `${edge.from} imports ${edge.specifier}`;
  if (insideSrc(edge.target) === undefined) {
    const abi = /^assembly\/(\w+_)?abi\.ts$/.test(edge.target) && folderOf(edge.from) === "kernel";
    return abi || edge.target.endsWith("package.json") ? undefined : `${where}: outside of src`;
  }
  const [from, to] = [folderOf(edge.from), folderOf(edge.target)];
  if (from === to) return undefined;
  const [upper, lower] = [LAYERS[from], LAYERS[to]];
  if (upper === undefined || lower === undefined) return `${where}: a folder without a layer`;
  if (lower > upper) return `${where}: ${from} is below ${to}`;
  if (lower === upper && !SAME_LAYER.has(`${from}>${to}`))
    return `${where}: no arrow ${from} → ${to}`;
  if (FORBIDDEN.has(`${from}>${to}`)) return `${where}: ${from} must not know ${to}`;
  const face = /\/(index|internal)\.ts$/.test(edge.target);
  if (topOf(from) !== topOf(to) && !face) return `${where}: import the folder's index.ts`;
  return undefined;
}

test("imports go down the layers", () => {
  const edges = filesBelow("src", ".ts").flatMap(importsOf);
  assert.ok(edges.length > 50, "the import scan found nothing");
  const problems = edges.map(problemOf).filter((problem) => problem !== undefined);
  assert.is(problems.join("\n"), "");
});

test("the rule notices a wrong import", () => {
  const upward = { from: "src/base/a.ts", target: "src/engine/index.ts", specifier: "x" };
  assert.match(problemOf(upward) ?? "", /below/);
  const inner = { from: "src/storage/a.ts", target: "src/engine/memory.ts", specifier: "x" };
  assert.match(problemOf(inner) ?? "", /index/);
});

test.run();
