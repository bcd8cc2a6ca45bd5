/** The timer of scheduling: lets the cluster look at itself every few milliseconds. */
import type { RaftCluster } from "./cluster.js";

/** How often scheduling looks whether something is due; what is due when, it knows itself. */
const TICK_MS = 50;

/** Starts the ticks; returns what ends them. */
export function driveScheduling(cluster: RaftCluster): () => void {
  const timer = setInterval(() => cluster.tick(), TICK_MS);
  return () => clearInterval(timer);
}
