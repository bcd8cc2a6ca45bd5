export {
  type ListenDeps,
  listenTikvServer,
  type ServerDeps,
  startTikvServer,
  type TikvListener,
  type TikvServer,
} from "./grpc_server.js";
export { SERVER_DEFAULTS, type ServerOptions } from "./options.js";
