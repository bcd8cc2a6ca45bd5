export type { Modify } from "./modify.js";
export type { CursorRange, MvccCf, MvccCursor, MvccSnapshot } from "./snapshot.js";
export { type CfStatistics, Statistics } from "./statistics.js";
