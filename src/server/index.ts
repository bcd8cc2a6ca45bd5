export { DeadlockClient, type DeadlockClientDeps } from "./deadlock_client.js";
export {
  type ListenDeps,
  listenTikvServer,
  type ServerDeps,
  startTikvServer,
  type TikvListener,
  type TikvServer,
} from "./grpc_server.js";
export { SERVER_DEFAULTS, type ServerOptions } from "./options.js";
export type { RaftSource } from "./raft_channel.js";
export { RAFT_TRANSPORT_DEFAULTS, type RaftTransportOptions } from "./raft_options.js";
export {
  type RaftService,
  type RaftTransport,
  type RaftTransportDeps,
  startRaftTransport,
} from "./raft_transport.js";
