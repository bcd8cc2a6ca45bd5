export { type ServerDeps, startTikvServer, type TikvServer } from "./grpc_server.js";
export { SERVER_DEFAULTS, type ServerOptions } from "./options.js";
