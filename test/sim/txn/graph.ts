/**
 * Dependency graphs of transactions and the cycles that isolation levels forbid. Kinds of edges,
 * a → b: "ww" b overwrote a's version, "wr" b read it, "rw" b overwrote what a read, "rt" b began
 * after a's commit was acknowledged. Source: Adya, Weak Consistency (1999); Kingsbury and Alvaro,
 * Elle (2020).
 */

export type EdgeKind = "ww" | "wr" | "rw" | "rt";

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
}

export type Anomaly = "G0" | "G1c" | "G-single" | "G-nonadjacent";

export interface Cycle {
  readonly anomaly: Anomaly;
  /** Closed: the last edge ends where the first begins. */
  readonly edges: readonly Edge[];
}

/** Edges by their source; several kinds between two transactions stay apart. */
export class DependencyGraph {
  private readonly out = new Map<number, Edge[]>();
  private readonly known = new Set<string>();

  add(from: number, to: number, kind: EdgeKind): void {
    if (from === to) return;
    const name = `${from}>${to}${kind}`;
    if (this.known.has(name)) return;
    this.known.add(name);
    const edges = this.out.get(from);
    const edge = { from, to, kind };
    if (edges === undefined) this.out.set(from, [edge]);
    else edges.push(edge);
  }

  edgesFrom(node: number): readonly Edge[] {
    return this.out.get(node) ?? [];
  }

  get nodes(): number[] {
    return [...this.out.keys()];
  }

  get edges(): Edge[] {
    return [...this.out.values()].flat();
  }
}

/** Returns the strongly connected components with more than one node (Tarjan, without recursion). */
export function components(graph: DependencyGraph, kinds: ReadonlySet<EdgeKind>): number[][] {
  const state = { next: 0, index: new Map<number, number>(), low: new Map<number, number>() };
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  const targets = (node: number): number[] =>
    graph.edgesFrom(node).flatMap(({ to, kind }) => (kinds.has(kind) ? [to] : []));
  const enter = (node: number): { node: number; left: number[] } => {
    state.index.set(node, state.next);
    state.low.set(node, state.next++);
    stack.push(node);
    onStack.add(node);
    return { node, left: targets(node) };
  };
  const lower = (node: number, to: number | undefined): void => {
    if (to !== undefined) state.low.set(node, Math.min(state.low.get(node) as number, to));
  };
  for (const root of graph.nodes) {
    if (state.index.has(root)) continue;
    const frames = [enter(root)];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const to = frame.left.pop();
      if (to !== undefined) {
        if (!state.index.has(to)) frames.push(enter(to));
        else if (onStack.has(to)) lower(frame.node, state.index.get(to));
        continue;
      }
      frames.pop();
      const above = frames.at(-1);
      if (above !== undefined) lower(above.node, state.low.get(frame.node));
      if (state.low.get(frame.node) !== state.index.get(frame.node)) continue;
      const component = stack.splice(stack.lastIndexOf(frame.node));
      for (const node of component) onStack.delete(node);
      if (component.length > 1) found.push(component);
    }
  }
  return found;
}

interface Visit {
  readonly edge: Edge;
  readonly before: Visit | undefined;
}

/**
 * Returns the shortest path over edges of `kinds` from the end of `first` back to its start, `first`
 * in front. With `rwApart`, no two rw edges follow each other, the closing pair included.
 */
function cycleThrough(
  graph: DependencyGraph,
  first: Edge,
  kinds: ReadonlySet<EdgeKind>,
  inside: ReadonlySet<number>,
  rwApart: boolean,
): Edge[] | undefined {
  const stateOf = (edge: Edge): string => `${edge.to}${rwApart && edge.kind === "rw" ? "!" : ""}`;
  const seen = new Set([stateOf(first)]);
  const queue: Visit[] = [{ edge: first, before: undefined }];
  for (let at = 0; at < queue.length; at++) {
    const visit = queue[at] as Visit;
    for (const edge of graph.edgesFrom(visit.edge.to)) {
      if (!kinds.has(edge.kind) || !inside.has(edge.to)) continue;
      const isRw = edge.kind === "rw";
      if (rwApart && isRw && visit.edge.kind === "rw") continue;
      if (edge.to === first.from) {
        if (rwApart && isRw && first.kind === "rw") continue;
        return pathOf({ edge, before: visit });
      }
      const state = stateOf(edge);
      if (seen.has(state)) continue;
      seen.add(state);
      queue.push({ edge, before: visit });
    }
  }
  return undefined;
}

function pathOf(visit: Visit): Edge[] {
  const path: Edge[] = [];
  for (let at: Visit | undefined = visit; at !== undefined; at = at.before) path.unshift(at.edge);
  return path;
}

/**
 * What snapshot isolation forbids, strongest first: cycles of ww edges (G0), of ww and wr edges
 * (G1c), with one rw edge (G-single, lost updates among them), with rw edges of which no two are
 * adjacent. Real-time edges may stand in all of them: a snapshot holds what was acknowledged before.
 */
const FORBIDDEN: readonly {
  readonly anomaly: Anomaly;
  readonly starts: EdgeKind;
  readonly kinds: readonly EdgeKind[];
}[] = [
  { anomaly: "G0", starts: "ww", kinds: ["ww", "rt"] },
  { anomaly: "G1c", starts: "wr", kinds: ["ww", "wr", "rt"] },
  { anomaly: "G-single", starts: "rw", kinds: ["ww", "wr", "rt"] },
  { anomaly: "G-nonadjacent", starts: "rw", kinds: ["ww", "wr", "rw", "rt"] },
];

/** Returns a forbidden cycle if there is one. */
export function forbiddenCycle(graph: DependencyGraph): Cycle | undefined {
  for (const { anomaly, starts, kinds } of FORBIDDEN) {
    const walked = new Set(kinds);
    const counted = new Set([...kinds, starts]);
    for (const component of components(graph, counted)) {
      const inside = new Set(component);
      for (const node of component) {
        for (const edge of graph.edgesFrom(node)) {
          if (edge.kind !== starts || !inside.has(edge.to)) continue;
          const edges = cycleThrough(graph, edge, walked, inside, anomaly === "G-nonadjacent");
          if (edges !== undefined) return { anomaly, edges };
        }
      }
    }
  }
  return undefined;
}
