/** Where the time of this thread goes, by part of the program, from V8's sampling profiler. */
import { type Profiler, Session } from "node:inspector";

/** Parts in the order in which their patterns are tried. */
const PARTS: readonly (readonly [part: string, pattern: RegExp])[] = [
  [
    "codec",
    /\/src\/raftstore\/(message_|cmd_codec|raft_message)|\/src\/pb\/|\/build\/pb\/|protobufjs/,
  ],
  ["kernel", /^wasm:|\/src\/kernel\//],
  ["raft", /\/src\/raft\//],
  ["engine", /\/src\/engine\/|koffi/],
  ["batch", /\/src\/batch\//],
  ["raftstore", /\/src\/raftstore\//],
];
/** What V8 calls time outside of functions: native code called from the event loop is "(program)". */
const META: Readonly<Record<string, string>> = {
  "(garbage collector)": "gc",
  "(idle)": "idle",
  "(program)": "native",
};

/** All parts, for tables. */
export const PART_NAMES: readonly string[] = [
  ...PARTS.map(([part]) => part),
  "gc",
  "native",
  "other",
  "idle",
];

/** Part of a frame; undefined for built-in functions, which belong to who called them. */
function partOf({ functionName, url }: Profiler.ProfileNode["callFrame"]): string | undefined {
  const meta = META[functionName];
  if (meta !== undefined) return meta;
  const part = PARTS.find(([, pattern]) => pattern.test(url))?.[0];
  return part ?? (url === "" || url.startsWith("node:") ? undefined : "other");
}

/** Parts by the id of a node. */
function partsOf(nodes: readonly Profiler.ProfileNode[]): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parts = new Map<number, string>();
  const visit = (node: Profiler.ProfileNode, above: string): void => {
    const part = partOf(node.callFrame) ?? above;
    parts.set(node.id, part);
    for (const id of node.children ?? []) visit(byId.get(id) as Profiler.ProfileNode, part);
  };
  const [root] = nodes;
  if (root !== undefined) visit(root, "other");
  return parts;
}

function shares({ nodes, samples, timeDeltas }: Profiler.Profile): Map<string, number> {
  const parts = partsOf(nodes);
  const found = new Map<string, number>();
  let total = 0;
  for (const [i, id] of (samples ?? []).entries()) {
    const delta = Math.max(0, timeDeltas?.[i] ?? 0);
    const part = parts.get(id) ?? "other";
    found.set(part, (found.get(part) ?? 0) + delta);
    total += delta;
  }
  for (const [part, time] of found) found.set(part, time / Math.max(1, total));
  return found;
}

/** Runs `work` under the profiler; returns the share of time by part, 0 to 1 each. */
export async function profiled(work: () => Promise<void>): Promise<Map<string, number>> {
  const session = new Session();
  session.connect();
  const post = (method: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      session.post(method, (error: Error | null, result?: unknown) =>
        error === null ? resolve(result) : reject(error),
      );
    });
  await post("Profiler.enable");
  await post("Profiler.start");
  await work();
  const { profile } = (await post("Profiler.stop")) as { profile: Profiler.Profile };
  session.disconnect();
  return shares(profile);
}
