/**
 * Services as data: from a service's name to what grpc-js needs to serve and to call it. Not a
 * client and not a server; pd_client, client and the servers build theirs from these definitions.
 *
 * grpc-js answers a request that does not decode with INTERNAL "Error deserializing request: …", as
 * TiKV's and PD's own servers do; a method listed as raw decodes by itself and may answer otherwise.
 */
import type { ServiceDefinition } from "@grpc/grpc-js";
import { SERVICES } from "#pb/services.js";

type Services = typeof SERVICES;

/** The full name of a service, such as "pdpb.PD". */
export type ServiceName = keyof Services;

/** The methods of a service, as they are spelled on the wire. */
export type MethodName<S extends ServiceName> = keyof Services[S] & string;

interface Codec<In, Out> {
  encode(message: In): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Out;
}

/** One method: its path, whether its sides stream, the codecs of its two messages. */
export interface MethodInfo<ReqIn, Req, ResIn, Res> {
  readonly service: string;
  readonly method: string;
  /** "/package.Service/Method" */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: Codec<ReqIn, Req>;
  readonly response: Codec<ResIn, Res>;
}

type InfoOf<M> =
  M extends MethodInfo<infer A, infer B, infer C, infer D> ? MethodInfo<A, B, C, D> : never;

/** The types of one method; ReqIn and ResIn are what encoders take, Req and Res what decoders give. */
export type MethodOf<S extends ServiceName, M extends MethodName<S>> = InfoOf<Services[S][M]>;

/** grpc-js's MethodDefinition, with decoded types apart from the types that encoders take. */
export interface WireMethod<ReqIn, Req, ResIn, Res> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: ReqIn) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Req;
  readonly responseSerialize: (message: ResIn) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Res;
  readonly originalName: string;
}

/** Returns the names of all services, in the order of the .proto files. */
export function serviceNames(): ServiceName[] {
  return Object.keys(SERVICES) as ServiceName[];
}

/** Returns all methods of a service by name. */
export function methodsOf(
  service: ServiceName,
): Readonly<Record<string, MethodInfo<object, object, object, object>>> {
  return SERVICES[service] as unknown as Record<string, MethodInfo<object, object, object, object>>;
}

/** Returns one method, with its types. */
export function methodInfo<S extends ServiceName, M extends MethodName<S>>(
  service: S,
  method: M,
): MethodOf<S, M> {
  return SERVICES[service][method] as unknown as MethodOf<S, M>;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the encoder of `codec` as grpc-js wants it. */
export function serializer<In>(codec: Codec<In, unknown>): (message: In) => Buffer {
  return (message) => toBuffer(codec.encode(message).finish());
}

/** Returns the decoder of `codec`; byte fields of what it returns are views into its argument. */
export function deserializer<Out>(codec: Codec<never, Out>): (bytes: Buffer) => Out {
  return (bytes) => codec.decode(bytes);
}

/** Returns a method for grpc-js with protobuf messages on both sides. */
export function methodDefinition<ReqIn, Req, ResIn, Res>(
  info: MethodInfo<ReqIn, Req, ResIn, Res>,
): WireMethod<ReqIn, Req, ResIn, Res> {
  return {
    path: info.path,
    requestStream: info.requestStream,
    responseStream: info.responseStream,
    requestSerialize: serializer(info.request),
    requestDeserialize: deserializer(info.request),
    responseSerialize: serializer(info.response),
    responseDeserialize: deserializer(info.response),
    originalName: info.method,
  };
}

/** Returns a method for grpc-js whose messages are bytes; for handlers that decode by themselves. */
export function rawMethodDefinition(info: {
  readonly path: string;
  readonly method: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}): WireMethod<Uint8Array, Buffer, Uint8Array, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path: info.path,
    requestStream: info.requestStream,
    responseStream: info.responseStream,
    requestSerialize: toBuffer,
    requestDeserialize: same,
    responseSerialize: toBuffer,
    responseDeserialize: same,
    originalName: info.method,
  };
}

/**
 * Returns the definition of a service for `grpc.Server.addService` and
 * `grpc.makeClientConstructor`. Handlers are named as the methods are on the wire.
 * `raw` names the methods whose handlers take and give bytes.
 */
export function serviceDefinition<S extends ServiceName>(
  service: S,
  raw: readonly MethodName<S>[] = [],
): ServiceDefinition {
  const definition: Record<string, unknown> = {};
  for (const [name, info] of Object.entries(methodsOf(service))) {
    const bytes = (raw as readonly string[]).includes(name);
    definition[name] = bytes ? rawMethodDefinition(info) : methodDefinition(info);
  }
  return definition as ServiceDefinition;
}
