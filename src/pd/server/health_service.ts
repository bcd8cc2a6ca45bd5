/** grpc.health.v1.Health: PD serves as long as it answers. */
import { status } from "@grpc/grpc-js";
import { grpc } from "../../pb/index.js";
import { statusError } from "./header.js";
import type { Handlers } from "./unary.js";

const SERVICES = new Set(["", "pdpb.PD", "keyspacepb.Keyspace", "etcdserverpb.Cluster"]);

/** Returns the methods of grpc.health.v1.Health. */
export function healthHandlers(): Handlers<"grpc.health.v1.Health"> {
  return {
    Check: ({ service }) => {
      if (!SERVICES.has(service)) throw statusError(status.NOT_FOUND, "unknown service");
      return { status: grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING };
    },
  };
}
