/**
 * Tells protocols apart by the first bytes of a connection. Pure; the socket work is front.ts.
 */
import { utf8 } from "../base/index.js";

/** What the first bytes of a connection announce. "more" = too few bytes to tell. */
export type Sniffed = "h2" | "http1" | "tls" | "garbage" | "more";

/** Bytes after which every connection is decided. */
export const SNIFF_BYTES_MAX = 14;

const H2_PREFACE = utf8("PRI * HTTP/2.0");
const HTTP1_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].map((method) =>
  utf8(`${method} `),
);
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR_VERSION = 0x03;

/** Returns "yes" or "no" once decided, "more" while `bytes` is a proper prefix of `expected`. */
function match(bytes: Uint8Array, expected: Uint8Array): "yes" | "no" | "more" {
  const common = Math.min(bytes.length, expected.length);
  for (let i = 0; i < common; i++) if (bytes[i] !== expected[i]) return "no";
  return bytes.length >= expected.length ? "yes" : "more";
}

/** Returns what `bytes`, the first bytes of a connection, announce. Total: takes any bytes. */
export function sniff(bytes: Uint8Array): Sniffed {
  if (bytes.length === 0) return "more";
  const h2 = match(bytes, H2_PREFACE);
  if (h2 === "yes") return "h2";
  let undecided = h2 === "more";
  for (const method of HTTP1_METHODS) {
    const http1 = match(bytes, method);
    if (http1 === "yes") return "http1";
    if (http1 === "more") undecided = true;
  }
  if (undecided) return "more";
  if (bytes[0] === TLS_HANDSHAKE) {
    if (bytes.length === 1) return "more";
    if (bytes[1] === TLS_MAJOR_VERSION) return "tls";
  }
  return "garbage";
}
