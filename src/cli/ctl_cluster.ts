/** `rutile ctl` members, stores, regions, region, tso: questions to PD. */
import type { Command } from "commander";
import type { LocatedRegion, PdClient } from "../pd_client/index.js";
import { type CtlContext, CtlError, LOGICAL_BITS, mustPd, timeOf } from "./ctl_context.js";
import { askPd } from "./ctl_http.js";
import { bytesText, parseBytes, type Row } from "./ctl_output.js";

const EMPTY = new Uint8Array(0);
const REGIONS_PAGE = 256;
/** What follows a peer that is no plain voter. */
const ROLE_MARKS = ["", "(learner)", "(incoming)", "(demoting)"] as const;

function regionRow(region: LocatedRegion): Row {
  const { confVer, endKey, id, leader, peers, startKey, version } = region;
  return {
    id,
    start: bytesText(startKey),
    end: bytesText(endKey),
    epoch: `${confVer}/${version}`,
    leader_store: leader?.storeId,
    peers: peers.map(({ id: peer, role, storeId }) => `${peer}@${storeId}${ROLE_MARKS[role]}`),
  };
}

async function allRegions(pd: PdClient, limit: number): Promise<LocatedRegion[]> {
  const regions: LocatedRegion[] = [];
  for (let start = EMPTY; regions.length < limit; ) {
    const most = Math.min(REGIONS_PAGE, limit - regions.length);
    const page = mustPd(await pd.scanRegions(start, EMPTY, most));
    regions.push(...page);
    const end = page.at(-1)?.endKey ?? EMPTY;
    if (page.length < most || end.length === 0) break;
    start = new Uint8Array(end);
  }
  return regions;
}

/** Adds the commands to `ctl`. */
export function addClusterCommands(ctl: Command, context: CtlContext): void {
  ctl
    .command("members")
    .description("placement drivers, with their client URLs")
    .action(() =>
      context.withPd(async (pd) => {
        const members = mustPd(await pd.getMembers());
        return members.map(({ clientUrls, id, isLeader, name }) => ({
          name,
          id,
          leader: isLeader,
          client_urls: clientUrls,
        }));
      }),
    );
  ctl
    .command("stores")
    .description("stores, with address and state")
    .option("--all", "with those that were removed")
    .action((options: { all?: boolean }) =>
      context.withPd(async (pd) => {
        const stores = mustPd(await pd.getAllStores(options.all === true));
        return stores.map((store) => ({
          id: store.id,
          address: store.address,
          status_address: store.statusAddress,
          state: store.state,
          version: store.version,
          labels: store.labels.map(({ key, value }) => `${key}=${value}`),
        }));
      }),
    );
  ctl
    .command("regions")
    .description("regions in key order")
    .option("--limit <count>", "most regions", Number, 1000)
    .option("--check <name>", "those that lack something: miss-peer, down-peer, pending-peer …")
    .action((options: { limit: number; check?: string }) =>
      context.withPd(async (pd) => {
        if (options.check === undefined)
          return (await allRegions(pd, options.limit)).map(regionRow);
        const path = `regions/check/${encodeURIComponent(options.check)}`;
        const found = (await askPd(pd, "GET", path)) as { readonly regions: { id: number }[] };
        const some = found.regions.slice(0, options.limit);
        const regions = some.map(async ({ id }) => mustPd(await pd.locateRegionById(BigInt(id))));
        return (await Promise.all(regions)).filter((region) => region !== undefined).map(regionRow);
      }),
    );
  ctl
    .command("region")
    .description("one region, by its id or by a key in it")
    .argument("[id]", "region id")
    .option("--key <key>", "key as region boundaries have it; 0x… for hex")
    .action((id: string | undefined, options: { key?: string }) =>
      context.withPd(async (pd) => {
        const { key } = options;
        if ((id === undefined) === (key === undefined)) throw new CtlError("give an id or --key");
        if (id !== undefined && !/^\d{1,19}$/.test(id))
          throw new CtlError(`not a region id: ${id}`);
        const reply =
          id === undefined
            ? await pd.getRegion(parseBytes(key ?? ""))
            : await pd.locateRegionById(BigInt(id));
        const region = mustPd(reply);
        if (region === undefined) throw new CtlError("PD knows no such region");
        return [regionRow(region)];
      }),
    );
  ctl
    .command("tso")
    .description("takes a timestamp, or explains one")
    .argument("[timestamp]", "timestamp to explain")
    .action((timestamp: string | undefined) => {
      if (timestamp !== undefined && !/^\d{1,20}$/.test(timestamp)) {
        return context.fail(new CtlError(`not a timestamp: ${timestamp}`));
      }
      if (timestamp !== undefined) return context.print([tsoRow(BigInt(timestamp))]);
      return context.withPd(async (pd) => [tsoRow(mustPd(await pd.getTimestamps(1)))]);
    });
}

function tsoRow(timestamp: bigint): Row {
  const physical = Number(timestamp >> LOGICAL_BITS);
  return {
    timestamp: timestamp.toString(),
    physical_ms: physical,
    logical: Number(BigInt.asUintN(Number(LOGICAL_BITS), timestamp)),
    time: timeOf(timestamp),
  };
}
