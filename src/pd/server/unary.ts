/**
 * Serves unary methods from plain functions: cluster check, metrics, errors. A function returns the
 * answer or throws a ServiceError; anything else that it throws is INTERNAL and logged.
 */
import {
  type handleUnaryCall,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type Clock, errorMessage, type Logger } from "../../base/index.js";
import type { MethodInfo, MethodName, MethodOf, ServiceName } from "../../pb/index.js";
import { statusError } from "./header.js";
import type { PdMetrics } from "./metrics.js";

/** The function behind one unary method. */
export type Handler<S extends ServiceName, M extends MethodName<S>> =
  MethodOf<S, M> extends MethodInfo<infer _ReqIn, infer Req, infer ResIn, infer _Res>
    ? (request: Req) => ResIn | Promise<ResIn>
    : never;

/** The functions of a service; methods left out answer UNIMPLEMENTED. */
export type Handlers<S extends ServiceName> = { readonly [M in MethodName<S>]?: Handler<S, M> };

export interface UnaryDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: PdMetrics;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

/** Returns grpc-js's implementation of `handlers`. */
export function unaryService<S extends ServiceName>(
  service: S,
  handlers: Handlers<S>,
  deps: UnaryDeps,
): UntypedServiceImplementation {
  const implementation: UntypedServiceImplementation = {};
  for (const [method, handler] of Object.entries(handlers)) {
    implementation[method] = unary(service, method, handler as AnyHandler, deps);
  }
  return implementation;
}

type AnyHandler = (request: unknown) => unknown;

function unary(
  service: string,
  method: string,
  handler: AnyHandler,
  deps: UnaryDeps,
): handleUnaryCall<unknown, unknown> {
  const { clock, logger, metrics } = deps;
  const labels = { grpc_service: service, grpc_method: method };
  return (call, reply) => {
    const startMs = clock.monotonicMs();
    const done = (code: status): void => {
      metrics.grpcHandled.inc(1, { ...labels, grpc_code: status[code] });
      metrics.grpcSeconds.observe((clock.monotonicMs() - startMs) / 1000, labels);
    };
    const fail = (error: unknown): void => {
      const known = isServiceError(error);
      if (!known) logger.error("handler failed", { method }, error);
      const answer = known ? error : statusError(status.INTERNAL, errorMessage(error));
      done(answer.code);
      reply(answer);
    };
    // An async function, so that what the handler throws at once is a rejection too.
    const run = async (): Promise<unknown> => handler(call.request);
    run().then((response) => {
      done(status.OK);
      reply(null, response);
    }, fail);
  };
}
