/** Faults inside of BatchCommands: the commands of one message part ways here. */
import { kvrpcpb, tikvpb } from "../pb/index.js";
import { frameOf, messageOf } from "./grpc_frames.js";
import { regionError } from "./region_errors.js";
import type { RpcFault } from "./rpc_faults.js";

export interface BatchFilterDeps {
  /** What happens to a command. */
  readonly faultOf: (method: string) => RpcFault | undefined;
  /** Sends a frame to the store. */
  readonly forward: (frame: Buffer) => void;
  /** Sends a frame to the client. */
  readonly answer: (frame: Buffer) => void;
}

type Command = tikvpb.BatchCommandsRequest.IRequest;

interface Share {
  readonly requests: Command[];
  readonly requestIds: tikvpb.BatchCommandsRequest["requestIds"];
}

/** Handles one frame of requests: forwards, delays, answers or drops each of its commands. */
export function filterBatch(frame: Buffer, { answer, faultOf, forward }: BatchFilterDeps): void {
  const message = messageOf(frame);
  if (message === undefined) {
    forward(frame);
    return;
  }
  const batch = tikvpb.BatchCommandsRequest.decode(message);
  const passing: Share = { requests: [], requestIds: [] };
  const failed: { response: tikvpb.BatchCommandsResponse.IResponse; index: number }[] = [];
  batch.requests.forEach((request, index) => {
    const id = batch.requestIds[index] as (typeof batch.requestIds)[number];
    const { cmd } = tikvpb.BatchCommandsRequest.Request.create(request);
    const fault = cmd === undefined ? undefined : faultOf(cmd);
    if (cmd === undefined || fault === undefined) {
      passing.requests.push(request);
      passing.requestIds.push(id);
    } else if (fault.kind === "delay") {
      const late = encode({ requests: [request], requestIds: [id] });
      setTimeout(() => forward(late), fault.ms);
    } else if (fault.kind === "regionError") {
      failed.push({ response: failure(request, cmd, fault.error), index });
    }
  });
  if (passing.requests.length === batch.requests.length) forward(frame);
  else if (passing.requests.length > 0) forward(encode(passing));
  if (failed.length === 0) return;
  const responses = failed.map(({ response }) => response);
  const requestIds = failed.map(({ index }) => batch.requestIds[index] as never);
  answer(frameOf(tikvpb.BatchCommandsResponse.encode({ responses, requestIds }).finish()));
}

function encode(share: Share): Buffer {
  return frameOf(tikvpb.BatchCommandsRequest.encode(share).finish());
}

function failure(
  request: Command,
  cmd: string,
  kind: Extract<RpcFault, { kind: "regionError" }>["error"],
): tikvpb.BatchCommandsResponse.IResponse {
  // Requests and responses have the same names in both oneofs.
  const { context } = request[cmd as keyof Command] as { context?: object };
  const error = regionError(kind, kvrpcpb.Context.create(context));
  return { [cmd]: { regionError: error } };
}
