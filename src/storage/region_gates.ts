/**
 * Writes under way by region, and a gate for each region: while it is closed, new writes wait, so
 * that those under way can end and a reader finds a region that nobody changes. Waiting writes keep
 * their order. Bounded: what waits has its share of the write quota.
 */
import { assert } from "../base/index.js";

interface RegionGate {
  inFlight: number;
  /** Writes that wait; undefined while the gate is open. */
  held: (() => void)[] | undefined;
  onDrained: (() => void) | undefined;
}

export class RegionGates {
  /** Regions with a write under way or a closed gate. */
  private readonly regions = new Map<number, RegionGate>();

  /** Calls `submit` now, or when the region's gate opens. */
  pass(regionId: number, submit: () => void): void {
    const held = this.regions.get(regionId)?.held;
    if (held === undefined) submit();
    else held.push(submit);
  }

  begin(regionId: number): void {
    this.gate(regionId).inFlight++;
  }

  end(regionId: number): void {
    const gate = this.regions.get(regionId);
    assert(gate !== undefined && gate.inFlight > 0, "a write that ends has begun");
    gate.inFlight--;
    if (gate.inFlight > 0) return;
    gate.onDrained?.();
    this.forgetIdle(regionId, gate);
  }

  /** Closes a region's gate; resolves when no write is under way. One closer at a time. */
  async close(regionId: number): Promise<void> {
    const gate = this.gate(regionId);
    assert(gate.held === undefined, "a gate is closed once");
    gate.held = [];
    if (gate.inFlight === 0) return;
    await new Promise<void>((resolve) => {
      gate.onDrained = resolve;
    });
    gate.onDrained = undefined;
  }

  /** Opens the gate: what waited is submitted, in order, before this returns. */
  open(regionId: number): void {
    const gate = this.regions.get(regionId);
    assert(gate?.held !== undefined, "only a closed gate opens");
    const { held } = gate;
    gate.held = undefined;
    for (const submit of held) submit();
    this.forgetIdle(regionId, gate);
  }

  private gate(regionId: number): RegionGate {
    let gate = this.regions.get(regionId);
    if (gate === undefined) {
      gate = { inFlight: 0, held: undefined, onDrained: undefined };
      this.regions.set(regionId, gate);
    }
    return gate;
  }

  private forgetIdle(regionId: number, gate: RegionGate): void {
    if (gate.inFlight === 0 && gate.held === undefined) this.regions.delete(regionId);
  }
}
