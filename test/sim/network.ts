/**
 * The simulated network: datagrams between named hosts with delay, loss, duplication and reordering,
 * directed cuts, and clogged links that deliver nothing until they open, then everything.
 * Not here: what the bytes mean. Senders and receivers encode and decode with production code.
 */
import type { Prng } from "../../src/base/index.js";
import type { SimLoop } from "./loop.js";
import { exponential, type NetworkWeights } from "./options.js";
import type { SimTrace } from "./trace.js";

/** A host as the network sees it. */
export interface Endpoint {
  readonly name: string;
  readonly number: number;
  /** Takes bytes of `kind`; called as an event. */
  receive(from: string, kind: string, bytes: Uint8Array): void;
}

export interface NetworkCounters {
  sent: number;
  delivered: number;
  lost: number;
  cut: number;
  duplicated: number;
  reordered: number;
}

interface Link {
  /** Nothing is delivered before. */
  clogUntilUs: number;
  /** Arrival of the last message that kept its order. */
  lastUs: number;
}

export interface SendOptions {
  /** When the sender hands it over; not before now. */
  readonly atUs: number;
  /** Neither lost, doubled nor reordered by chance; cuts still hold. */
  readonly reliable?: boolean;
}

export class SimNetwork {
  readonly counters: NetworkCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    cut: 0,
    duplicated: 0,
    reordered: 0,
  };
  private readonly endpoints = new Map<string, Endpoint>();
  private readonly links = new Map<string, Link>();
  /** Directed pairs "a>b" that lose everything. */
  private readonly cuts = new Set<string>();
  private faulty = true;

  constructor(
    private readonly loop: SimLoop,
    private readonly prng: Prng,
    private readonly weights: NetworkWeights,
    private readonly trace: SimTrace,
  ) {}

  join(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.name, endpoint);
  }

  /** Cuts the direction from one host to another. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`);
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(`${from}>${to}`);
  }

  healCuts(): void {
    this.cuts.clear();
  }

  /** Holds everything on a link until `untilUs`. */
  clog(from: string, to: string, untilUs: number): void {
    this.link(from, to).clogUntilUs = untilUs;
  }

  /** Ends cuts, clogs and chance. */
  heal(): void {
    this.healCuts();
    for (const link of this.links.values()) link.clogUntilUs = 0;
    this.faulty = false;
  }

  /**
   * Sends bytes, which must not change afterwards. They arrive, or not. Returns the arrival of the
   * first copy, or undefined when it is lost already.
   */
  send(
    from: string,
    to: string,
    kind: string,
    bytes: Uint8Array,
    options: SendOptions,
  ): number | undefined {
    const { prng, weights, counters } = this;
    counters.sent++;
    const mayFail = this.faulty && options.reliable !== true;
    if (mayFail && prng.ratio(weights.lossPerMille, 1000)) {
      counters.lost++;
      return undefined;
    }
    if (this.isCut(from, to)) {
      counters.cut++;
      return undefined;
    }
    const arrivalUs = this.deliverLater(from, to, kind, bytes, options.atUs, mayFail);
    if (mayFail && prng.ratio(weights.duplicatePerMille, 1000)) {
      counters.duplicated++;
      this.deliverLater(from, to, kind, bytes, options.atUs, true);
    }
    return arrivalUs;
  }

  private deliverLater(
    from: string,
    to: string,
    kind: string,
    bytes: Uint8Array,
    atUs: number,
    mayReorder: boolean,
  ): number {
    const { prng, weights } = this;
    const link = this.link(from, to);
    let arrivalUs = atUs + weights.delayMinUs + exponential(prng, weights.delayMeanUs);
    arrivalUs = Math.max(arrivalUs, link.clogUntilUs);
    if (mayReorder && prng.ratio(weights.reorderPerMille, 1000)) {
      this.counters.reordered++;
      arrivalUs += exponential(prng, weights.delayMeanUs * 4);
    } else {
      arrivalUs = Math.max(arrivalUs, link.lastUs);
      link.lastUs = arrivalUs;
    }
    this.loop.at(arrivalUs, () => this.deliver(from, to, kind, bytes));
    return arrivalUs;
  }

  private deliver(from: string, to: string, kind: string, bytes: Uint8Array): void {
    // A cut loses what is on its way, too.
    if (this.isCut(from, to)) {
      this.counters.cut++;
      return;
    }
    const target = this.endpoints.get(to);
    if (target === undefined) return;
    this.counters.delivered++;
    const source = this.endpoints.get(from)?.number ?? 0;
    this.trace.event(this.loop.nowUs, kind, [source, target.number], bytes);
    target.receive(from, kind, bytes);
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
