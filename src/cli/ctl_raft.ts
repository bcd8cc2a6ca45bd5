/** `rutile ctl raft`: what each store that has a peer of a Region keeps about its log. */
import type { Command } from "commander";
import { eraftpb, methodInfo, raft_serverpb, toBigInt } from "../pb/index.js";
import { callUnary, type LocatedRegion, openChannel, type PdClient } from "../pd_client/index.js";
import { type CtlContext, CtlError } from "./ctl_context.js";
import type { Row } from "./ctl_output.js";

const REGION_INFO = methodInfo("debugpb.Debug", "RegionInfo");

/** Adds `raft` to `ctl`. */
export function addRaftCommand(ctl: Command, context: CtlContext): void {
  ctl
    .command("raft")
    .description("the log of a Region on each of its stores: term, commit, applied")
    .argument("<region>", "region id")
    .action((id: string) =>
      context.withPd(async (pd) => {
        if (!/^\d{1,19}$/.test(id)) throw new CtlError(`not a region id: ${id}`);
        const region = await pd.locateRegionById(BigInt(id));
        if (!region.ok) throw new CtlError(`PD: ${region.error.message} (${region.error.kind})`);
        if (region.value === undefined) throw new CtlError("PD knows no such region");
        return Promise.all(
          region.value.peers.map((_, at) =>
            peerRow(pd, region.value as LocatedRegion, at, context.options.timeout * 1000),
          ),
        );
      }),
    );
}

async function peerRow(
  pd: PdClient,
  region: LocatedRegion,
  at: number,
  timeoutMs: number,
): Promise<Row> {
  const peer = region.peers[at] as LocatedRegion["peers"][number];
  const store = await pd.getStore(peer.storeId);
  const place = {
    store: peer.storeId,
    peer: peer.id,
    leader: region.leader?.id === peer.id,
  };
  const address = store.ok ? store.value?.address : undefined;
  if (address === undefined) return { ...place, ...problem("PD knows no such store") };
  const channel = openChannel(address);
  try {
    const request = { regionId: Number(region.id) };
    const reply = await callUnary(channel, REGION_INFO, request, timeoutMs);
    if (!reply.ok) return { ...place, ...problem(reply.error.message) };
    return { ...place, ...logRow(reply.value), problem: undefined };
  } finally {
    channel.close();
  }
}

const problem = (text: string): Row => ({ ...logRow({}), problem: text });

interface Info {
  readonly raftLocalState?: raft_serverpb.IRaftLocalState | null;
  readonly raftApplyState?: raft_serverpb.IRaftApplyState | null;
  readonly regionLocalState?: raft_serverpb.IRegionLocalState | null;
}

function logRow({ raftApplyState, raftLocalState, regionLocalState }: Info): Row {
  const hard = raftLocalState?.hardState && eraftpb.HardState.create(raftLocalState.hardState);
  const raft = raftLocalState && raft_serverpb.RaftLocalState.create(raftLocalState);
  const apply = raftApplyState && raft_serverpb.RaftApplyState.create(raftApplyState);
  const first = raftApplyState?.truncatedState?.index;
  const local = regionLocalState && raft_serverpb.RegionLocalState.create(regionLocalState);
  return {
    state: local ? raft_serverpb.PeerState[local.state] : undefined,
    term: hard ? toBigInt(hard.term) : undefined,
    vote: hard ? toBigInt(hard.vote) : undefined,
    commit: hard ? toBigInt(hard.commit) : undefined,
    last: raft ? toBigInt(raft.lastIndex) : undefined,
    applied: apply ? toBigInt(apply.appliedIndex) : undefined,
    truncated: first === undefined || first === null ? undefined : toBigInt(first),
  };
}
