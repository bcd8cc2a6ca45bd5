/** JSON with exact 64-bit numbers: a bigint is written as its digits. PURE. */

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** Returns the JSON text of `value`; undefined fields are left out. */
export function jsonText(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  const parts: string[] = [];
  for (const [key, field] of Object.entries(value as Record<string, Json | undefined>)) {
    if (field !== undefined) parts.push(`${JSON.stringify(key)}:${jsonText(field)}`);
  }
  return `{${parts.join(",")}}`;
}

/** Returns `value`, or undefined for what Go's `omitempty` leaves out. */
export function omitEmpty<T extends Json>(value: T): T | undefined {
  const empty =
    value === 0 ||
    value === 0n ||
    value === "" ||
    value === false ||
    (Array.isArray(value) && value.length === 0);
  return empty ? undefined : value;
}
