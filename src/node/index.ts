export type { RunOptions } from "./environment.js";
export { type Environment, memberEnvironment } from "./environment.js";
export * from "./local/index.js";
export type { RootLogger } from "./logger.js";
export { startPdNode } from "./pd_node.js";
export { runPlayground } from "./playground.js";
export type { ReadyInfo } from "./ready_file.js";
export { runPd, runStore } from "./run.js";
export { startTikvNode, type TikvNodeOptions } from "./tikv_node.js";
