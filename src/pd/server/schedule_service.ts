/**
 * pdpb.PD: what stores and clients ask of scheduling: ids for splits, splits and scatters on
 * request, operators. Source: pd server/grpc_service.go, server/forward.go.
 */
import { utf8 } from "../../base/index.js";
import { fromBigInt, pdpb, toBigInt, type Wire64 } from "../../pb/index.js";
import { regionFromHeartbeat, regionFromPb } from "../core/index.js";
import type { Operator, OperatorStatus } from "../schedule/index.js";
import type { RaftCluster } from "./cluster.js";
import { bootstrapped } from "./guards.js";
import { errorHeader, okHeader } from "./header.js";
import { scatterRegions, splitRegions } from "./region_requests.js";
import type { Handlers } from "./unary.js";

const STATUS: Readonly<Record<OperatorStatus, pdpb.OperatorStatus>> = {
  created: pdpb.OperatorStatus.RUNNING,
  started: pdpb.OperatorStatus.RUNNING,
  success: pdpb.OperatorStatus.SUCCESS,
  timeout: pdpb.OperatorStatus.TIMEOUT,
  expired: pdpb.OperatorStatus.TIMEOUT,
  cancelled: pdpb.OperatorStatus.CANCEL,
  replaced: pdpb.OperatorStatus.REPLACE,
};

/** Returns the methods. */
export function scheduleHandlers(cluster: RaftCluster): Handlers<"pdpb.PD"> {
  return { ...splitHandlers(cluster), ...requestHandlers(cluster) };
}

function splitHandlers(cluster: RaftCluster): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  const refused = (message: string): pdpb.IResponseHeader =>
    errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, message);
  return {
    AskSplit: bootstrapped(
      cluster,
      async ({ region }: pdpb.AskSplitRequest): Promise<pdpb.IAskSplitResponse> => {
        if (region === null) return { header: refused("missing region for split") };
        const ids = await cluster.askSplit(regionFromPb(region), 1);
        const one = ids.ok ? ids.value[0] : undefined;
        if (one === undefined) return { header: refused(ids.ok ? "no ids" : ids.error) };
        const newPeerIds = one.newPeerIds.map(fromBigInt);
        return { header, newRegionId: fromBigInt(one.newRegionId), newPeerIds };
      },
    ),
    AskBatchSplit: bootstrapped(
      cluster,
      async (request: pdpb.AskBatchSplitRequest): Promise<pdpb.IAskBatchSplitResponse> => {
        const { region, splitCount } = request;
        if (region === null) return { header: refused("missing region for split") };
        const ids = await cluster.askSplit(regionFromPb(region), splitCount);
        if (!ids.ok) return { header: refused(ids.error) };
        const groups = ids.value.map(({ newRegionId, newPeerIds }) => ({
          newRegionId: fromBigInt(newRegionId),
          newPeerIds: newPeerIds.map(fromBigInt),
        }));
        return { header, ids: groups };
      },
    ),
    // Reports carry no leader: the regions become known by the heartbeats that follow them.
    ReportSplit: bootstrapped(cluster, ({ left, right }: pdpb.ReportSplitRequest) => {
      const wrong = cluster.reportSplit(
        [left, right].flatMap((one) => (one ? [one] : [])).map(regionFromPb),
      );
      return { header: wrong === undefined ? header : refused(wrong) };
    }),
    ReportBatchSplit: bootstrapped(cluster, ({ regions }: pdpb.ReportBatchSplitRequest) => {
      const wrong = cluster.reportSplit(regions.map(regionFromPb));
      return { header: wrong === undefined ? header : refused(wrong) };
    }),
  };
}

function requestHandlers(cluster: RaftCluster): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    ScatterRegion: bootstrapped(
      cluster,
      async (request: pdpb.ScatterRegionRequest): Promise<pdpb.IScatterRegionResponse> => {
        noteReported(cluster, request);
        const single = toBigInt(request.regionId);
        const isSingle = request.regionsId.length === 0;
        const ids = isSingle ? [single] : request.regionsId.map((id: Wire64) => toBigInt(id));
        const done = scatterRegions(cluster, ids, request.group);
        const [failure] = done.failures;
        if (isSingle && failure !== undefined) {
          return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, failure) };
        }
        return {
          header,
          finishedPercentage: done.percentage,
          failedRegionsId: done.failedIds.map(fromBigInt),
        };
      },
    ),
    SplitRegions: bootstrapped(cluster, async (request: pdpb.SplitRegionsRequest) => {
      const done = await splitRegions(
        cluster,
        request.splitKeys,
        Number(toBigInt(request.retryLimit)),
      );
      const regionsId = done.regionIds.map(fromBigInt);
      return { header, finishedPercentage: done.percentage, regionsId };
    }),
    SplitAndScatterRegions: bootstrapped(
      cluster,
      async (request: pdpb.SplitAndScatterRegionsRequest) => {
        const split = await splitRegions(
          cluster,
          request.splitKeys,
          Number(toBigInt(request.retryLimit)),
        );
        const scattered = scatterRegions(cluster, split.regionIds, request.group);
        return {
          header,
          splitFinishedPercentage: split.percentage,
          scatterFinishedPercentage: scattered.percentage,
          regionsId: split.regionIds.map(fromBigInt),
        };
      },
    ),
    GetOperator: bootstrapped(
      cluster,
      ({ regionId }: pdpb.GetOperatorRequest): pdpb.IGetOperatorResponse => {
        const operator = operatorOf(cluster, toBigInt(regionId));
        if (operator === undefined) {
          const text = "Not Found";
          return { header: errorHeader(cluster.id, pdpb.ErrorType.REGION_NOT_FOUND, text) };
        }
        const { desc, kinds, status } = operator;
        const kind = utf8(kinds.join(","));
        return { header, regionId, desc: utf8(desc), kind, status: STATUS[status] };
      },
    ),
  };
}

/** A scatter request may carry a region that PD has not heard of yet. */
function noteReported(cluster: RaftCluster, { leader, region }: pdpb.ScatterRegionRequest): void {
  if (region === null || leader === null || region.peers.length === 0) return;
  const known = cluster.basic.getRegion(toBigInt(region.id));
  if (known !== undefined) return;
  const report = regionFromHeartbeat(new pdpb.RegionHeartbeatRequest({ region, leader }));
  if (report !== undefined) cluster.regionHeartbeat(report);
}

/** Returns the operator of a region: the one under way, or else the last that finished. */
function operatorOf({ coordinator }: RaftCluster, regionId: bigint): Operator | undefined {
  const { operators } = coordinator;
  return operators.get(regionId) ?? operators.finished(regionId);
}
