/** The error of a damaged file: what, in which file, at which offset. */
import { TikvError } from "../../base/index.js";

/** Returns RUTILE:Engine:Corruption for `file`; `offset` in bytes, where known. */
export function damaged(file: string, offset: number | undefined, what: string): TikvError {
  const where = offset === undefined ? file : `${file} at offset ${offset}`;
  return new TikvError("RUTILE:Engine:Corruption", `damaged file ${where}: ${what}`);
}
