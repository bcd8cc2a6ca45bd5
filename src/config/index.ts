export { type LogLevel, type LogOptions, logOptions } from "./log.js";
export { checkPd, PD_FIELDS, type PdConfig } from "./pd.js";
export { configToJson, defaultsOf, printConfig, printGiven } from "./print.js";
export {
  DATA_DIR_DEFAULT,
  type Loaded,
  type LoadResult,
  loadConfig,
  ROLE_FIELDS,
  type Role,
  START_FIELDS,
  type StartConfig,
  startDirs,
} from "./roles.js";
export {
  type Field,
  type Fields,
  formatAddress,
  type Host,
  parseAddress,
  type TomlValue,
  type Values,
} from "./schema.js";
export { blockCacheBytes, checkTikv, TIKV_FIELDS, type TikvConfig } from "./tikv.js";
export { formatProblem, type Problem, parseToml, readTomlFile, type TomlDocument } from "./toml.js";
export { type FlagValue, type Sources, type Validated, validate } from "./validate.js";
