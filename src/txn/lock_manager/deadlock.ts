/**
 * The wait-for graph: which transaction waits for which, and whether a new edge closes a circle. The
 * detector's leader keeps it, for the whole cluster. Pure; time is monotonic ms.
 * Source: tikv src/server/lock_manager/deadlock.rs DetectTable.
 *
 * An edge lives as long as a wait may last (its TTL), in case the message that takes it back is lost:
 * a stale edge could otherwise make a deadlock out of nothing.
 */
import { assert } from "../../base/index.js";
import type { WaitForEntry } from "../errors.js";
import type { DeadlockFound } from "./lock_wait.js";

/** Edges that the table holds at most; one more is not registered, and its wait can only time out. */
const DETECT_EDGES_MAX = 1_000_000;
/** From this size on, expired edges are looked for, at most once in the interval. */
const EXPIRE_EDGES_MIN = 100_000;
const EXPIRE_INTERVAL_MS = 10_000;

/** What one transaction wants of another. Invariant: at least one key. */
interface Edge {
  readonly keys: { readonly hash: bigint; readonly key: Uint8Array }[];
  resourceGroupTag: Uint8Array;
  lastDetectMs: number;
}

export class DetectTable {
  /** Waiting transaction → transaction it waits for → edge. */
  private readonly waits = new Map<bigint, Map<bigint, Edge>>();
  private edgeCount = 0;
  private lastExpireMs = 0;

  constructor(
    private ttlMs: number,
    private readonly edgesMax = DETECT_EDGES_MAX,
  ) {
    assert(ttlMs > 0, "an edge of the wait-for graph lives for a while");
  }

  /** Number of edges, expired ones included. */
  get size(): number {
    return this.edgeCount;
  }

  setTtl(ttlMs: number): void {
    this.ttlMs = ttlMs;
  }

  /** Adds an edge, or finds that it closes a circle and leaves it out. O(edges) at worst. */
  detect(nowMs: number, edge: WaitForEntry): DeadlockFound | undefined {
    this.expire(nowMs);
    if (this.refresh(nowMs, edge)) return undefined;
    const found = this.search(nowMs, edge);
    if (found === undefined) this.register(nowMs, edge);
    return found;
  }

  /** Takes back one key of an edge; the edge goes with its last key. */
  cleanUpWaitFor({ txn, waitForTxn, keyHash }: WaitForEntry): void {
    const edges = this.waits.get(txn);
    const edge = edges?.get(waitForTxn);
    if (edges === undefined || edge === undefined) return;
    const at = edge.keys.findIndex(({ hash }) => hash === keyHash);
    if (at >= 0) edge.keys.splice(at, 1);
    if (edge.keys.length === 0) this.remove(txn, edges, waitForTxn);
  }

  /** Takes back all edges from a transaction: it is over. */
  cleanUp(txn: bigint): void {
    this.edgeCount -= this.waits.get(txn)?.size ?? 0;
    this.waits.delete(txn);
  }

  /** Forgets everything: the detector has another leader. */
  clear(): void {
    this.waits.clear();
    this.edgeCount = 0;
  }

  /** Renews an edge that is known; it closed no circle then, and every later edge was checked. */
  private refresh(nowMs: number, { txn, waitForTxn, ...wanted }: WaitForEntry): boolean {
    const edge = this.waits.get(txn)?.get(waitForTxn);
    if (edge === undefined || this.isExpired(nowMs, edge)) return false;
    if (!edge.keys.some(({ hash }) => hash === wanted.keyHash)) {
      edge.keys.push({ hash: wanted.keyHash, key: wanted.key });
    }
    edge.resourceGroupTag = wanted.resourceGroupTag;
    edge.lastDetectMs = nowMs;
    return true;
  }

  private register(nowMs: number, edge: WaitForEntry): void {
    if (this.edgeCount >= this.edgesMax) return;
    let edges = this.waits.get(edge.txn);
    if (edges === undefined) {
      edges = new Map();
      this.waits.set(edge.txn, edges);
    }
    if (!edges.has(edge.waitForTxn)) this.edgeCount++;
    edges.set(edge.waitForTxn, {
      keys: [{ hash: edge.keyHash, key: edge.key }],
      resourceGroupTag: edge.resourceGroupTag,
      lastDetectMs: nowMs,
    });
  }

  /** Looks for a way from the transaction that is waited for to the one that waits, depth first. */
  private search(
    nowMs: number,
    { txn, waitForTxn, ...last }: WaitForEntry,
  ): DeadlockFound | undefined {
    /** Transaction → the one from which the search came to it. */
    const cameFrom = new Map<bigint, bigint | undefined>([[waitForTxn, undefined]]);
    const stack = [waitForTxn];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      for (const [next, edge] of this.liveEdges(nowMs, at)) {
        if (next === txn) {
          const waitChain = [...this.chainTo(at, cameFrom), entryOf(at, next, edge)];
          const deadlockKeyHash = (edge.keys[0] as Edge["keys"][number]).hash;
          return { edge: { txn, waitForTxn, ...last }, deadlockKeyHash, waitChain };
        }
        if (cameFrom.has(next)) continue;
        cameFrom.set(next, at);
        stack.push(next);
      }
    }
    return undefined;
  }

  /** Returns the edges by which the search came to `end`, in their order. */
  private chainTo(end: bigint, cameFrom: ReadonlyMap<bigint, bigint | undefined>): WaitForEntry[] {
    const chain: WaitForEntry[] = [];
    let to = end;
    for (let from = cameFrom.get(to); from !== undefined; from = cameFrom.get(to)) {
      chain.push(entryOf(from, to, this.waits.get(from)?.get(to) as Edge));
      to = from;
    }
    return chain.reverse();
  }

  /** The edges from a transaction; expired ones are removed on the way. */
  private liveEdges(nowMs: number, txn: bigint): ReadonlyMap<bigint, Edge> {
    const edges = this.waits.get(txn);
    if (edges === undefined) return new Map();
    for (const [waitForTxn, edge] of edges) {
      if (this.isExpired(nowMs, edge)) this.remove(txn, edges, waitForTxn);
    }
    return edges;
  }

  private isExpired(nowMs: number, edge: Edge): boolean {
    return nowMs - edge.lastDetectMs >= this.ttlMs;
  }

  private expire(nowMs: number): void {
    if (this.edgeCount < Math.min(EXPIRE_EDGES_MIN, this.edgesMax)) return;
    if (nowMs - this.lastExpireMs < EXPIRE_INTERVAL_MS) return;
    this.lastExpireMs = nowMs;
    for (const txn of this.waits.keys()) this.liveEdges(nowMs, txn);
  }

  private remove(txn: bigint, edges: Map<bigint, Edge>, waitForTxn: bigint): void {
    if (edges.delete(waitForTxn)) this.edgeCount--;
    if (edges.size === 0) this.waits.delete(txn);
  }
}

function entryOf(txn: bigint, waitForTxn: bigint, edge: Edge): WaitForEntry {
  const { hash, key } = edge.keys[0] as Edge["keys"][number];
  return { txn, waitForTxn, keyHash: hash, key, resourceGroupTag: edge.resourceGroupTag };
}
