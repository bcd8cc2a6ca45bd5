export { type ChildExit, ChildServer, exitText } from "./child.js";
export {
  CHOSEN_KEYS,
  LocalCluster,
  type LocalClusterHooks,
  type LocalClusterOptions,
  type LocalPorts,
  type LocalStore,
} from "./local_cluster.js";
export {
  announceUp,
  openUp,
  runUp,
  type UpInfo,
  type UpOptions,
  type UpOutput,
  type UpStore,
} from "./up.js";
