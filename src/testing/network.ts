/**
 * Who can reach whom: one directed link from each party to each other one. A link holds what is
 * wrong with it; the fronts read it for every chunk and are told when it changes.
 */

/** A store by its index, PD, or everybody else. */
export type Party = number | "pd" | "clients";

export interface LinkFaults {
  /** Nothing arrives; what was sent arrives once the link is healed, as with TCP. */
  cut: boolean;
  /** New connections are reset. */
  refuse: boolean;
  /** Milliseconds that each byte takes longer; order stays. */
  delayMs: number;
  /** Share of Raft messages that are lost, from 0 to 1. */
  drop: number;
}

const NO_FAULTS: Readonly<LinkFaults> = { cut: false, refuse: false, delayMs: 0, drop: 0 };

/** One direction between two parties. */
export class Link {
  readonly faults: LinkFaults = { ...NO_FAULTS };
  readonly #listeners = new Set<() => void>();

  /** Changes some faults and tells everybody who carries bytes over this link. */
  set(faults: Partial<LinkFaults>): void {
    Object.assign(this.faults, faults);
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export class Network {
  readonly #links = new Map<string, Link>();

  /** Returns the link, which is created sound. */
  link(from: Party, to: Party): Link {
    const key = `${from}>${to}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const link = new Link();
    this.#links.set(key, link);
    return link;
  }

  /** Takes all faults away. */
  heal(): void {
    for (const link of this.#links.values()) link.set(NO_FAULTS);
  }
}
