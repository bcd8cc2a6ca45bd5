/**
 * pdpb.PD: the streams. Each answers in the order of its requests, ends with OK when the client
 * half-closes (client-java calls Tso so), and with a status when a request is for another cluster.
 * A client that does not read is not read from: no stream buffers without bound.
 */
import { type ServerDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Logger } from "../../base/index.js";
import { pdpb } from "../../pb/index.js";
import { isRemoved, regionFromHeartbeat } from "../core/index.js";
import { type PdServiceDeps, timestampToPb } from "./grpc_service.js";
import type { HeartbeatStreams, OrderStream } from "./hb_streams.js";
import { errorHeader, mismatch, notBootstrapped, okHeader, statusError } from "./header.js";
import type { PdMetrics } from "./metrics.js";
import { queryRegions } from "./region_answers.js";

export interface StreamDeps extends PdServiceDeps {
  readonly logger: Logger;
  readonly metrics: PdMetrics;
  readonly heartbeats: HeartbeatStreams;
  /** Requests of one stream that may wait for answers. */
  readonly pendingMax: number;
}

/** What handlers of one stream get. */
interface Out<Res> {
  /** Sends an answer. */
  send(response: Res): void;
  /** Sends what was not asked for; false, and dropped, while the client does not read. */
  push(response: Res): boolean;
  /** Ends the call with a status. Later calls do nothing. */
  fail(error: ServiceError): void;
  /** One request more is under way, or one less; the stream ends when none is. */
  begin(): void;
  finish(): void;
}

/**
 * Runs `onRequest` for each request. It calls `begin` and `finish` around work that answers later.
 */
function serve<Req, Res>(
  call: ServerDuplexStream<Req, Res>,
  name: string,
  deps: StreamDeps,
  onRequest: (request: Req, out: Out<Res>) => void,
  onEnd: (out: Out<Res>) => void = () => {},
): void {
  let pending = 0;
  let ended = false;
  let halfClosed = false;
  let full = false;
  const count = (code: status): void => {
    ended = true;
    onEnd(out);
    const labels = { grpc_service: "pdpb.PD", grpc_method: name, grpc_code: status[code] };
    deps.metrics.grpcHandled.inc(1, labels);
  };
  const endWhenDone = (): void => {
    if (ended || !halfClosed || pending > 0) return;
    count(status.OK);
    call.end();
  };
  const flow = (): void => {
    if (full || pending >= deps.pendingMax) call.pause();
    else call.resume();
  };
  const out: Out<Res> = {
    send: (response) => {
      if (ended) return;
      full = !call.write(response);
      flow();
    },
    push: (response) => {
      if (ended || full) return false;
      out.send(response);
      return true;
    },
    fail: (error) => {
      if (ended) return;
      count(error.code);
      call.emit("error", error);
    },
    begin: () => {
      pending++;
      flow();
    },
    finish: () => {
      pending--;
      flow();
      endWhenDone();
    },
  };
  call.on("drain", () => {
    full = false;
    flow();
  });
  call.on("data", (request: Req) => {
    if (!ended) onRequest(request, out);
  });
  call.on("end", () => {
    halfClosed = true;
    endWhenDone();
  });
  call.on("cancelled", () => {
    if (!ended) count(status.CANCELLED);
  });
}

/** Returns the stream methods of pdpb.PD for grpc-js. */
export function pdStreams(deps: StreamDeps) {
  const { cluster } = deps;
  const header = okHeader(cluster.id);
  return {
    Tso: (call: ServerDuplexStream<pdpb.TsoRequest, pdpb.ITsoResponse>): void => {
      serve(call, "Tso", deps, (request, out) => {
        const wrong = mismatch(cluster.id, request.header);
        if (wrong !== undefined) {
          out.fail(wrong);
          return;
        }
        const { count } = request;
        out.begin();
        deps.tso.request(count, (answer) => {
          if (answer.kind === "ok") {
            out.send({ header, count, timestamp: timestampToPb(answer.timestamp) });
          } else {
            out.fail(statusError(status.UNKNOWN, answer.message));
          }
          out.finish();
        });
      });
    },
    QueryRegion: (
      call: ServerDuplexStream<pdpb.QueryRegionRequest, pdpb.IQueryRegionResponse>,
    ): void => {
      serve(call, "QueryRegion", deps, (request, out) => {
        const wrong = mismatch(cluster.id, request.header);
        if (wrong !== undefined) out.fail(wrong);
        else if (!cluster.bootstrapped) out.send({ header: notBootstrapped(cluster.id) });
        else out.send({ header, ...queryRegions(cluster.basic, request) });
      });
    },
    RegionHeartbeat: (
      call: ServerDuplexStream<pdpb.RegionHeartbeatRequest, pdpb.IRegionHeartbeatResponse>,
    ): void => {
      const onEnd = (out: OrderStream): void => deps.heartbeats.unbind(out);
      const onRequest = (request: pdpb.RegionHeartbeatRequest, out: HeartbeatOut): void =>
        onRegionHeartbeat(deps, request, out);
      serve(call, "RegionHeartbeat", deps, onRequest, onEnd);
    },
  };
}

type HeartbeatOut = Out<pdpb.IRegionHeartbeatResponse>;

/**
 * Takes one heartbeat. A good one has no answer of its own: what is sent are orders, at any time.
 * Refused reports are answered in the stream, which goes on.
 */
function onRegionHeartbeat(
  deps: StreamDeps,
  request: pdpb.RegionHeartbeatRequest,
  out: HeartbeatOut,
): void {
  const { cluster, metrics } = deps;
  const wrong = mismatch(cluster.id, request.header);
  if (wrong !== undefined) {
    out.fail(wrong);
    return;
  }
  if (!cluster.bootstrapped) {
    out.send({ header: notBootstrapped(cluster.id) });
    return;
  }
  const refuse = (label: string, message: string): void => {
    metrics.regionHeartbeats.inc(1, { type: "report", status: label });
    deps.logger.debug("region heartbeat refused", { reason: message });
    const regionId = request.region?.id ?? 0;
    const error = errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, message);
    out.send({ header: error, regionId, targetPeer: request.leader });
  };
  const region = regionFromHeartbeat(request);
  if (region === undefined || region.leader === undefined) {
    const missing = request.leader === null ? "leader" : "region";
    refuse(`invalid-${missing}`, `invalid request ${missing}`);
    return;
  }
  const store = cluster.basic.getStore(region.leader.storeId);
  if (store === undefined) {
    const text = `invalid store ID ${region.leader.storeId}, not found`;
    out.fail(statusError(status.UNKNOWN, text));
    return;
  }
  if (isRemoved(store.meta)) return;
  deps.heartbeats.bind(store.meta.id, out);
  if (region.meta.id === 0n) {
    refuse("invalid-region", "invalid request region");
  } else if (region.meta.peers.length === 0) {
    refuse("no-peer", `invalid region, zero region peer count: ${region.meta.id}`);
  } else {
    const outcome = cluster.regionHeartbeat(region);
    if (outcome.kind === "ok") metrics.regionHeartbeats.inc(1, { type: "report", status: "ok" });
    else refuse("err", outcome.message);
  }
}
