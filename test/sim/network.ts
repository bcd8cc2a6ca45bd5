/**
 * The simulated network: messages between named hosts with delay, loss, duplication and reordering,
 * directed cuts, and clogged links that deliver nothing until they open, then everything.
 * Not here: what is sent. Senders encode and receivers decode with production code.
 */
import type { Prng } from "../../src/base/index.js";
import type { SimLoop } from "./loop.js";
import { exponential, type NetworkWeights } from "./options.js";
import type { SimTrace } from "./trace.js";

/** What the trace hash gets of a message; bytes must not change afterwards. */
export interface Envelope {
  readonly from: string;
  readonly to: string;
  readonly kind: string;
  readonly bytes: Uint8Array | string;
  /** When the sender hands it over; not before now. */
  readonly atUs: number;
  /** Neither lost, doubled nor reordered by chance; cuts still hold. */
  readonly isReliable?: boolean;
}

interface Link {
  /** Nothing is delivered before. */
  clogUntilUs: number;
  /** Arrival of the last message that kept its order. */
  lastUs: number;
}

export class SimNetwork {
  readonly counters = { sent: 0, delivered: 0, lost: 0, cut: 0, duplicated: 0, reordered: 0 };
  private readonly links = new Map<string, Link>();
  /** Directed pairs "a>b" that lose everything. */
  private readonly cuts = new Set<string>();
  private isFaulty = true;
  private readonly loop: SimLoop;
  private readonly prng: Prng;
  private readonly weights: NetworkWeights;
  private readonly trace: SimTrace;

  constructor(loop: SimLoop, prng: Prng, weights: NetworkWeights, trace: SimTrace) {
    this.loop = loop;
    this.prng = prng;
    this.weights = weights;
    this.trace = trace;
  }

  /** Cuts the direction from one host to another. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`);
  }

  uncut(from: string, to: string): void {
    this.cuts.delete(`${from}>${to}`);
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(`${from}>${to}`);
  }

  /** Holds everything on a link until `untilUs`. */
  clog(from: string, to: string, untilUs: number): void {
    this.link(from, to).clogUntilUs = untilUs;
  }

  /** Ends cuts, clogs and chance. */
  heal(): void {
    this.cuts.clear();
    for (const link of this.links.values()) link.clogUntilUs = 0;
    this.isFaulty = false;
  }

  /**
   * Sends a message: `deliver` runs when it arrives, once, twice or never. Returns whether it left:
   * false when it was lost at once, which senders learn of broken connections.
   */
  send(envelope: Envelope, deliver: () => void): boolean {
    const { prng, weights, counters } = this;
    counters.sent++;
    const mayFail = this.isFaulty && envelope.isReliable !== true;
    if (mayFail && prng.ratio(weights.lossPerMille, 1000)) {
      counters.lost++;
      return false;
    }
    if (this.isCut(envelope.from, envelope.to)) {
      counters.cut++;
      return false;
    }
    this.plan(envelope, mayFail, deliver);
    if (mayFail && prng.ratio(weights.duplicatePerMille, 1000)) {
      counters.duplicated++;
      this.plan(envelope, true, deliver);
    }
    return true;
  }

  private plan(envelope: Envelope, mayReorder: boolean, deliver: () => void): void {
    const { prng, weights } = this;
    const link = this.link(envelope.from, envelope.to);
    let arrivalUs = envelope.atUs + weights.delayMinUs + exponential(prng, weights.delayMeanUs);
    arrivalUs = Math.max(arrivalUs, link.clogUntilUs);
    if (mayReorder && prng.ratio(weights.reorderPerMille, 1000)) {
      this.counters.reordered++;
      arrivalUs += exponential(prng, weights.delayMeanUs * 4);
    } else {
      arrivalUs = Math.max(arrivalUs, link.lastUs);
      link.lastUs = arrivalUs;
    }
    this.loop.at(arrivalUs, () => {
      // A cut loses what is on its way, too.
      if (this.isCut(envelope.from, envelope.to)) {
        this.counters.cut++;
        return;
      }
      this.counters.delivered++;
      this.trace.event(this.loop.nowUs, envelope);
      deliver();
    });
  }

  private link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    let link = this.links.get(name);
    if (link === undefined) {
      link = { clogUntilUs: 0, lastUs: 0 };
      this.links.set(name, link);
    }
    return link;
  }
}
