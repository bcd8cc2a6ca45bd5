export * from "./abi.js";
