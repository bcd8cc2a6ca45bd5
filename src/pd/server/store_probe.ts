/**
 * Asks an address whether it is a certain store of a certain cluster, over the store's own gRPC
 * service: a read with that cluster and store in its context, which every store checks first.
 * Why: ../core/store_rules.ts.
 *
 * node:http2 instead of grpc-js: a grpc-js channel that is closed while it connects keeps its
 * socket until the other side gives up, and the address asked here may never answer.
 */
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { status } from "@grpc/grpc-js";
import { fromBigInt, kvrpcpb, methodInfo } from "../../pb/index.js";
import type { ProbeAnswer } from "../core/index.js";

/** Asks `address` for store `storeId` of cluster `clusterId`; always resolves, in `timeoutMs`. */
export type StoreProbe = (
  address: string,
  storeId: bigint,
  clusterId: bigint,
  timeoutMs: number,
) => Promise<ProbeAnswer>;

/** Compression flag and length before each gRPC message. */
const FRAME_HEAD_BYTES = 5;
/** An answer to the probe is a few bytes; more is no store's. */
const ANSWER_MAX_BYTES = 64 * 1024;

function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, FRAME_HEAD_BYTES);
  return bytes;
}

/** Returns what the messages of a finished call say. */
function answerOf(grpcStatus: number, body: Buffer): ProbeAnswer {
  if (grpcStatus === status.UNAVAILABLE) return "silent";
  if (grpcStatus !== status.OK || body.length < FRAME_HEAD_BYTES) return "other";
  let response: kvrpcpb.RawGetResponse;
  try {
    response = kvrpcpb.RawGetResponse.decode(body.subarray(FRAME_HEAD_BYTES));
  } catch {
    return "other";
  }
  if (response.regionError?.storeNotMatch) return "other";
  // Region 0 exists nowhere, and a store looks for the region after checking cluster and store.
  if (response.regionError?.regionNotFound) return "same";
  // It answered before it got to the store id (busy, API version): as good as no answer.
  return "silent";
}

function ask(session: ClientHttp2Session, request: Uint8Array): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: methodInfo("tikvpb.Tikv", "RawGet").path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
    });
    const chunks: Buffer[] = [];
    let length = 0;
    let grpcStatus = Number.NaN;
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers["grpc-status"] !== undefined) grpcStatus = Number(headers["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > ANSWER_MAX_BYTES) resolve("other");
      else chunks.push(chunk);
    });
    stream.on("end", () => resolve(answerOf(grpcStatus, Buffer.concat(chunks))));
    stream.on("error", () => resolve("other"));
    stream.end(frame(request));
  });
}

export const probeStore: StoreProbe = (address, storeId, clusterId, timeoutMs) => {
  const peer = { storeId: fromBigInt(storeId) };
  const message = { context: { clusterId: fromBigInt(clusterId), peer } };
  const request = kvrpcpb.RawGetRequest.encode(message).finish();
  return new Promise((resolve) => {
    let session: ClientHttp2Session;
    try {
      session = connect(`http://${address}`);
    } catch {
      // Not an address at all: nobody can be there.
      resolve("gone");
      return;
    }
    let connected = false;
    const done = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done("silent"), timeoutMs);
    session.on("error", () => done(connected ? "other" : "gone"));
    session.on("connect", () => {
      connected = true;
      ask(session, request).then(done);
    });
  });
};
