export * from "./gc_state.js";
export * from "./safe_points.js";
export * from "./service_safe_point.js";
