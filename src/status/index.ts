export {
  listenStatus,
  type StatusOptions,
  type StatusServer,
  type StatusSources,
} from "./http.js";
