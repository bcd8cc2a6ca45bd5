export * from "./latch.js";
