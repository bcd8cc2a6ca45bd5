/** The host's door to assembly/abi.ts; what both sides must agree on lives there. */
export * from "../../assembly/abi.js";
export * from "../../assembly/batch_commands_abi.js";
export * from "../../assembly/mvcc_abi.js";
export * from "../../assembly/raft_abi.js";
