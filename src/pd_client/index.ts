export { type CallFailure, callUnary, deadlineAfter, openChannel } from "./channel.js";
export { PdClient, type PdClientConfig } from "./client.js";
export { peerInfo } from "./convert.js";
export type { GcBarrier, GcState, TxnSafePointAdvance } from "./gc.js";
export { addressOf, PD_CLIENT_DEFAULTS, type PdClientOptions } from "./options.js";
export type * from "./types.js";
