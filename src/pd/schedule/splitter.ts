/**
 * Splits regions at given keys through operators, and tells how far they are. PURE.
 * Source: pd pkg/schedule/splitter/region_splitter.go.
 */
import { compareBytes } from "../../base/index.js";
import type { RegionInfo } from "../core/index.js";
import { splitRegionOperator } from "./create_operator.js";
import type { OperatorController } from "./operator_controller.js";

export class RegionSplitter {
  private readonly operators: OperatorController;

  constructor(operators: OperatorController) {
    this.operators = operators;
  }

  /** Starts operators for the keys that are no boundaries yet; returns why for those that fail. */
  split(keys: readonly Uint8Array[]): string[] {
    const problems: string[] = [];
    for (const { region, inside } of this.byRegion(keys)) {
      if (this.operators.get(region.meta.id)?.desc === "region-splitter") continue;
      const built = splitRegionOperator(this.operators.context, region, inside, {
        desc: "region-splitter",
      });
      const problem = built.ok ? this.operators.add(built.value) : built.error;
      if (problem !== undefined) problems.push(`region ${region.meta.id}: ${problem}`);
    }
    return problems;
  }

  /** Returns the regions that start at one of `keys`: what has been split. */
  found(keys: readonly Uint8Array[]): bigint[] {
    const { basic } = this.operators.context.cluster;
    const starts = keys
      .map((key) => ({ key, region: basic.tree.search(key) }))
      .filter(({ key, region }) => region !== undefined && startsAt(region, key));
    return starts.map(({ region }) => (region as RegionInfo).meta.id);
  }

  private byRegion(keys: readonly Uint8Array[]): { region: RegionInfo; inside: Uint8Array[] }[] {
    const { basic } = this.operators.context.cluster;
    const groups = new Map<bigint, { region: RegionInfo; inside: Uint8Array[] }>();
    for (const key of [...keys].sort(compareBytes)) {
      const region = basic.tree.search(key);
      if (region === undefined || startsAt(region, key)) continue;
      const group = groups.get(region.meta.id) ?? { region, inside: [] };
      groups.set(region.meta.id, group);
      const last = group.inside.at(-1);
      if (last === undefined || compareBytes(last, key) !== 0) group.inside.push(key);
    }
    return [...groups.values()];
  }
}

function startsAt({ meta }: RegionInfo, key: Uint8Array): boolean {
  return compareBytes(meta.startKey, key) === 0;
}
