import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, utf8 } from "../../../src/base/index.js";
import { PeerLogLimit } from "../../../src/net/peer_log_limit.js";
import { SNIFF_BYTES_MAX, sniff } from "../../../src/net/sniff.js";

const CASES: readonly [string, Uint8Array, string][] = [
  ["nothing yet", utf8(""), "more"],
  ["preface", utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "h2"],
  ["first bytes of the preface", utf8("PRI * HTTP/2."), "more"],
  ["P may be PRI, POST, PUT, PATCH", utf8("P"), "more"],
  ["PR can only be the preface", utf8("PR"), "more"],
  ["almost the preface", utf8("PRI * HTTP/1.1"), "garbage"],
  ["GET", utf8("GET /pd/api/v1/members HTTP/1.1\r\n"), "http1"],
  ["half a method", utf8("DELET"), "more"],
  ["DELETE", utf8("DELETE /pd"), "http1"],
  ["method without a space", utf8("GETX"), "garbage"],
  ["lower case", utf8("get / HTTP/1.1"), "garbage"],
  ["TLS 1.x ClientHello", fromHex("16030100c8"), "tls"],
  ["first byte of TLS", fromHex("16"), "more"],
  ["0x16 without a TLS version", fromHex("1600"), "garbage"],
  ["zero bytes", fromHex("0000000000"), "garbage"],
];

for (const [name, bytes, expected] of CASES) {
  test(`sniff: ${name}`, () => {
    assert.is(sniff(bytes), expected);
  });
}

test("sniff decides within SNIFF_BYTES_MAX bytes, whatever they are", () => {
  for (let first = 0; first < 256; first++) {
    const bytes = utf8("PRI * HTTP/2.0").slice(0, SNIFF_BYTES_MAX);
    bytes[bytes.length - 1] = first;
    assert.is.not(sniff(bytes), "more", `last byte ${first}`);
  }
});

test("a peer is logged once an interval", () => {
  const limit = new PeerLogLimit(1000, 10);
  assert.ok(limit.allow("a", 0));
  assert.not.ok(limit.allow("a", 999));
  assert.ok(limit.allow("b", 999));
  assert.ok(limit.allow("a", 1000));
});

test("the peers remembered are bounded; the one logged longest ago goes first", () => {
  const limit = new PeerLogLimit(1000, 2);
  limit.allow("a", 0);
  limit.allow("b", 1);
  limit.allow("c", 2);
  assert.is(limit.size, 2);
  assert.not.ok(limit.allow("b", 3));
  assert.ok(limit.allow("a", 3));
});

test.run();
