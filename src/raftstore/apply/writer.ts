/**
 * What both lanes' apply rounds submit to the engine, and what happens when it is written:
 * proposals are answered, then results go to the peers, then whoever waited for it goes on.
 * Not synced: the raft log, which is, replays what a crash loses, and the applied index stands in
 * the same batch as its data.
 *
 * Bounded: above APPLY_PENDING_BYTES_MAX delegates stop taking messages until writes are done.
 */
import { assert, type Clock } from "../../base/index.js";
import type { EnginePort } from "../engine_port.js";
import type { ApplyRes, PeerMsg, ProposalDone } from "../messages.js";
import type { ApplyMetrics } from "./metrics.js";

/** Bytes submitted and not yet written; a guess: some dozen rounds of a busy store. */
export const APPLY_PENDING_BYTES_MAX = 32 << 20;

export type ProposalResult = Parameters<ProposalDone>[0];

/** What one engine write stands for. Lists are in the order in which they are carried out. */
export interface Flight {
  readonly answers: { readonly done: ProposalDone; readonly result: ProposalResult }[];
  readonly results: ApplyRes[];
  readonly after: (() => void)[];
}

/** Returns a flight without content. */
export function newFlight(): Flight {
  return { answers: [], results: [], after: [] };
}

export interface ApplyWriterDeps {
  readonly port: EnginePort;
  /** Sends to a peer beyond its mailbox's bound; lost if the peer is gone. */
  readonly notify: (regionId: number, message: PeerMsg) => void;
  /** Wakes a delegate that left its batch. */
  readonly resume: (regionId: number) => void;
  readonly clock: Clock;
  readonly metrics: ApplyMetrics;
}

export class ApplyWriter {
  readonly #deps: ApplyWriterDeps;
  /** The newest flight that is not written; writes end in order, so all are once it is. */
  #last: Flight | undefined;
  #waiting = new Set<number>();

  constructor(deps: ApplyWriterDeps) {
    this.#deps = deps;
  }

  get isFull(): boolean {
    return this.#deps.metrics.pendingBytes >= APPLY_PENDING_BYTES_MAX;
  }

  /** Resumes the region's delegate once there is room again. */
  waitForRoom(regionId: number): void {
    assert(this.isFull, "who waits for room finds none");
    this.#waiting.add(regionId);
  }

  /** Submits a write batch representation, which is copied; `flight` is carried out once written. */
  submit(representation: Uint8Array, flight: Flight): void {
    const bytes = representation.length;
    const { metrics, clock } = this.#deps;
    const startMs = clock.monotonicMs();
    metrics.pendingBytes += bytes;
    metrics.writtenBytes += bytes;
    metrics.writes++;
    metrics.regions += flight.results.length;
    this.#last = flight;
    this.#deps.port.write(representation, false, () => {
      metrics.pendingBytes -= bytes;
      metrics.logSeconds.observe((clock.monotonicMs() - startMs) / 1000);
      if (this.#last === flight) this.#last = undefined;
      this.#carryOut(flight);
      if (!this.isFull) this.#wake();
    });
  }

  /** Carries out a flight that needs no write, after those that are still being written. */
  follow(flight: Flight): void {
    assert(flight.results.length === 0, "what was applied is written");
    if (this.#last === undefined) {
      this.#carryOut(flight);
    } else {
      this.#last.answers.push(...flight.answers);
      this.#last.after.push(...flight.after);
    }
  }

  #carryOut(flight: Flight): void {
    for (const { done, result } of flight.answers) done(result);
    for (const result of flight.results) {
      this.#deps.notify(result.regionId, { kind: "applyRes", result });
    }
    for (const after of flight.after) after();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const regionId of waiting) this.#deps.resume(regionId);
  }
}
