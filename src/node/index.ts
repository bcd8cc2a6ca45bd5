export type { RunOptions } from "./environment.js";
export * from "./local/index.js";
export { runPlayground } from "./playground.js";
export type { ReadyInfo } from "./ready_file.js";
export { runPd, runStore } from "./run.js";
