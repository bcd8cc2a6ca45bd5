export {
  FRONT_DEFAULTS,
  type Front,
  type FrontDeps,
  type FrontHandlers,
  type FrontOptions,
  listenFront,
} from "./front.js";
export { type GrpcInjector, grpcInjector } from "./grpc.js";
export { HTTP1_DEFAULTS, type Http1Injector, type Http1Options, http1Injector } from "./http1.js";
