/**
 * One unary call to PD's leader: header in, header checked, one more try at the new leader when the
 * old one is gone. What PdClient's queries are made of.
 */
import { status } from "@grpc/grpc-js";
import { err, ok } from "../base/index.js";
import { fromBigInt, type MethodInfo, type pdpb, toBigInt } from "../pb/index.js";
import { callUnary } from "./channel.js";
import { callFailure, headerFailure, isLeaderChange, unavailable } from "./failure.js";
import type { Leader, Members } from "./members.js";
import type { PdClientOptions } from "./options.js";
import type { CallOptions, PdReply } from "./types.js";

interface Answer {
  readonly header: pdpb.ResponseHeader | null;
}

type Build<ReqIn> = (header: pdpb.IRequestHeader) => ReqIn;

/** Returns the header of a request to `leader`'s cluster. */
export function requestHeader(leader: Leader): pdpb.IRequestHeader {
  return { clusterId: fromBigInt(leader.clusterId) };
}

export class Caller {
  readonly members: Members;
  readonly options: PdClientOptions;

  constructor(members: Members, options: PdClientOptions) {
    this.members = members;
    this.options = options;
  }

  /**
   * Calls `info` at the leader. A call that may have reached a lost leader is repeated once at the
   * next one, so only calls that may be executed twice belong here; `retry` false forbids it.
   */
  async call<ReqIn, Res extends Answer>(
    info: MethodInfo<ReqIn, unknown, never, Res>,
    build: Build<ReqIn>,
    options: CallOptions = {},
    retry = true,
  ): Promise<PdReply<Res>> {
    const deadline = performance.now() + (options.timeoutMs ?? this.options.requestTimeoutMs);
    for (let attempt = 0; ; attempt++) {
      const leader = await this.members.leader();
      if (!leader.ok) return leader;
      if (options.signal?.aborted === true) return err(unavailable("aborted", status.CANCELLED));
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return err(unavailable("timed out", status.DEADLINE_EXCEEDED));
      const { channel } = leader.value;
      const request = build(requestHeader(leader.value));
      const reply = await callUnary(channel, info, request, leftMs, options.signal);
      if (reply.ok) return this.#check(reply.value, leader.value);
      const lost = isLeaderChange(reply.error);
      if (lost || reply.error.status === status.DEADLINE_EXCEEDED)
        this.members.forget(leader.value);
      if (!lost || !retry || attempt > 0) return err(callFailure(reply.error));
    }
  }

  #check<Res extends Answer>(response: Res, leader: Leader): PdReply<Res> {
    const failure = headerFailure(response.header);
    if (failure !== undefined) {
      if (failure.kind === "unavailable") this.members.forget(leader);
      return err(failure);
    }
    const clusterId = toBigInt(response.header?.clusterId ?? 0);
    if (clusterId === leader.clusterId) return ok(response);
    const message = `mismatch cluster id, need ${leader.clusterId} but got ${clusterId}`;
    return err({ kind: "clusterMismatch", message });
  }
}
