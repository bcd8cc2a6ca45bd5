/**
 * Texts of transactional errors as TiKV prints them (Rust's `{:?}` of storage::Error). Clients show
 * them, and some look for the names in them, so names and nesting are TiKV's.
 * Source: tikv src/storage/{errors,mvcc/mod,txn/mod}.rs.
 */
import { snakeCase } from "../base/index.js";
import type { TxnError } from "../txn/index.js";

/** Errors of the transaction layer itself; all others come from mvcc. */
const TXN_LEVEL: ReadonlySet<TxnError["kind"]> = new Set([
  "invalidTxnTso",
  "maxTimestampNotSynced",
]);

const capitalised = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** One field in Rust's spelling: timestamps, bytes, names of enums and numbers. */
function fieldText(value: unknown): string {
  if (typeof value === "bigint") return `TimeStamp(${value})`;
  if (typeof value === "string") return capitalised(value);
  if (value instanceof Uint8Array) return `[${value.join(", ")}]`;
  if (Array.isArray(value)) return `[${value.map(fieldText).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{ ${fieldsText(value)} }`;
  return String(value);
}

function fieldsText(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${snakeCase(name)}: ${fieldText(value)}`)
    .join(", ");
}

/** Returns TiKV's debug text of an error; of a request that is invalid, what is wrong with it. */
export function txnErrorText(error: TxnError): string {
  if (error.kind === "invalidRequest") return error.message;
  const { kind, ...fields } = error;
  const text = `${capitalised(kind)} { ${fieldsText(fields)} }`;
  return TXN_LEVEL.has(kind)
    ? `Error(Txn(Error(${text})))`
    : `Error(Txn(Error(Mvcc(Error(${text})))))`;
}
