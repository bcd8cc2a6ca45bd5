export type * from "./pd_port.js";
export * from "./region.js";
