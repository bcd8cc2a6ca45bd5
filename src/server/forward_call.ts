/** A server call below grpc-js's stream objects whose start is replaced. */
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

/** What a call tells about its request. */
export type CallListener = Parameters<ServerInterceptingCallInterface["start"]>[0];

/** Returns `call` with another `start`; everything else goes through. */
export function forwardCall(
  call: ServerInterceptingCallInterface,
  start: (listener: CallListener) => void,
): ServerInterceptingCallInterface {
  return {
    start,
    sendMetadata: (metadata) => call.sendMetadata(metadata),
    sendMessage: (message, callback) => call.sendMessage(message, callback),
    sendStatus: (status) => call.sendStatus(status),
    startRead: () => call.startRead(),
    getPeer: () => call.getPeer(),
    getDeadline: () => call.getDeadline(),
    getHost: () => call.getHost(),
    getAuthContext: () => call.getAuthContext(),
    getConnectionInfo: () => call.getConnectionInfo(),
    getMetricsRecorder: () => call.getMetricsRecorder(),
  };
}
