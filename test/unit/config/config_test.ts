/** Configuration files and flags: what each wrong input is answered with, word for word. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  checkPd,
  checkTikv,
  configToJson,
  defaultsOf,
  type FlagValue,
  formatProblem,
  type Loaded,
  loadConfig,
  PD_FIELDS,
  parseToml,
  printConfig,
  readTomlFile,
  startDirs,
  TIKV_FIELDS,
  type Validated,
  validate,
} from "../../../src/config/index.js";
import { tmpDir } from "../../support/tmp.js";

const test = suite("config");

type Store = Validated<typeof TIKV_FIELDS>;

function storeConfig(text: string, flags: readonly FlagValue[] = []): Store {
  const read = parseToml(text, "f.toml");
  assert.ok(read.ok);
  return validate(TIKV_FIELDS, { document: read.document, flags }, Object.keys(PD_FIELDS));
}

function linesOf(text: string): string[] {
  const read = parseToml(text, "f.toml");
  if (!read.ok) return read.problems.map(formatProblem);
  const checked = validate(TIKV_FIELDS, { document: read.document }, Object.keys(PD_FIELDS));
  return [...checked.problems, ...checkTikv(checked)].map(formatProblem);
}

/** Name, file, all the lines it must get. */
const BAD: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "a mistyped key of TiKV",
    "[raftstore]\n\n# a comment\nraft-log-gc-treshold = 50\n",
    [
      "f.toml:4: unknown key raftstore.raft-log-gc-treshold (given 50); did you mean " +
        "raftstore.raft-log-gc-threshold?",
    ],
  ],
  [
    "a mistyped section",
    '[sever]\naddr = "127.0.0.1:1"\n',
    ['f.toml:2: unknown key sever.addr (given "127.0.0.1:1"); did you mean server.addr?'],
  ],
  [
    "an empty unknown section",
    "[storrage]\n",
    ["f.toml:1: unknown key storrage (given {}); did you mean storage?"],
  ],
  [
    "a key like no other",
    "quux-frobnicate-all = true\n",
    [
      "f.toml:1: unknown key quux-frobnicate-all (given true); expected a key of --print-default-config",
    ],
  ],
  [
    "a value where a section belongs",
    "server = 3\n",
    ["f.toml:1: server: given 3, expected a section [server]"],
  ],
  [
    "a wrong unit",
    '[raftstore]\nraft-entry-max-size = "1GBB"\n',
    [
      'f.toml:2: raftstore.raft-entry-max-size: given "1GBB", expected a size with ' +
        'units B, KiB, MiB, GiB, such as "8MiB"',
    ],
  ],
  [
    "a negative size",
    "[storage]\nmax-key-size = -1\n",
    [
      'f.toml:2: storage.max-key-size: given -1, expected a size with units B, KiB, MiB, GiB, such as "8MiB"',
    ],
  ],
  [
    "a size out of range",
    '[storage]\nmax-key-size = "1MiB"\n',
    ['f.toml:2: storage.max-key-size: given "1MiB", expected a size from 1B to 64KiB'],
  ],
  [
    "a duration without unit",
    "[pd]\nretry-interval = 300\n",
    [
      'f.toml:2: pd.retry-interval: given 300, expected a duration with units d, h, m, s, ms, such as "1m30s"',
    ],
  ],
  [
    "a duration out of range",
    '[pd]\nretry-interval = "2h"\n',
    ['f.toml:2: pd.retry-interval: given "2h", expected a duration from 1ms to 1h'],
  ],
  [
    "a boolean in quotes",
    '[storage]\nenable-ttl = "true"\n',
    ['f.toml:2: storage.enable-ttl: given "true", expected true or false'],
  ],
  [
    "a float where a whole number belongs",
    "[log.file]\nmax-size = 3.0\n",
    ["f.toml:2: log.file.max-size: given 3, expected a whole number from 1 to 4096"],
  ],
  [
    "a number beyond 2^53",
    "[log.file]\nmax-size = 9007199254740993\n",
    ["f.toml:2: log.file.max-size: given 9007199254740993, expected a whole number from 1 to 4096"],
  ],
  [
    "an api version that does not exist",
    "storage.api-version = 3\n",
    ["f.toml:1: storage.api-version: given 3, expected 1 or 2"],
  ],
  [
    "an unknown name of a closed set",
    '[log]\nlevel = "loud"\n',
    ['f.toml:2: log.level: given "loud", expected one of "debug", "info", "warn", "error"'],
  ],
  [
    "addresses of all wrong shapes",
    '[server]\naddr = "127.0.0.1"\nstatus-addr = "h:70000"\nadvertise-addr = "http://h:1"\n',
    [
      'f.toml:2: server.addr: given "127.0.0.1", expected an address "HOST:PORT", such as "127.0.0.1:20160"',
      'f.toml:3: server.status-addr: given "h:70000", expected an address "HOST:PORT", such as "127.0.0.1:20160"',
      'f.toml:4: server.advertise-addr: given "http://h:1", expected an address ' +
        '"HOST:PORT", such as "127.0.0.1:20160"',
    ],
  ],
  [
    "endpoints that are empty or not addresses",
    "[pd]\nendpoints = []\n",
    ['f.toml:2: pd.endpoints: given [], expected a list of addresses, such as ["127.0.0.1:2379"]'],
  ],
  [
    "labels with spaces",
    '[server.labels]\nzone = "z 1"\n',
    [
      'f.toml:1: server.labels: given { zone = "z 1" }, expected labels of letters, ' +
        'digits, "-", "_", ".", such as { zone = "z1" }',
    ],
  ],
  [
    "a TLS path, which would be ignored silently",
    '[security]\ncert-path = "/etc/c.pem"\n',
    [
      'f.toml:2: security.cert-path: given "/etc/c.pem", expected "" (TLS is not supported by this version)',
    ],
  ],
  [
    "a soft limit above the hard one",
    '[storage.flow-control]\nsoft-pending-compaction-bytes-limit = "2TiB"\n',
    [
      "f.toml:2: storage.flow-control.soft-pending-compaction-bytes-limit: must not be greater than " +
        "the hard-pending-compaction-bytes-limit beside it",
    ],
  ],
  [
    "a receive limit below what stores send each other",
    '[limits]\nreceive-message-size = "1MiB"\n',
    [
      "f.toml:2: limits.receive-message-size: must not be smaller than " +
        "server.max-grpc-send-msg-len, or this store refuses what others send it",
    ],
  ],
  [
    "a key twice",
    '[server]\naddr = "h:1"\n\naddr = "h:2"\n',
    ["f.toml:4: server.addr is set twice, first on line 2"],
  ],
  [
    "a key twice by two spellings",
    'server.addr = "h:1"\n[server]\n"addr" = "h:2"\n',
    ["f.toml:3: server.addr is set twice, first on line 1"],
  ],
  [
    "a section twice",
    "[server]\n[log]\n[server]\n",
    ["f.toml:3: server is set twice, first on line 1"],
  ],
  [
    "text that is not TOML",
    '[log]\nlevel = "info\n',
    ["f.toml:2: not valid TOML at column 14: control characters are not allowed in strings"],
  ],
  [
    "an advertised address that nobody can reach",
    '[server]\naddr = "0.0.0.0:20160"\n',
    [
      'f.toml:2: server.addr: given "0.0.0.0:20160", which no client can connect to; ' +
        "set server.advertise-addr (--advertise-addr) to this host's name or IP",
    ],
  ],
  [
    "api version 2 without TTL",
    "[storage]\napi-version = 2\n",
    ["f.toml:2: storage.api-version: given 2, which needs storage.enable-ttl = true"],
  ],
  [
    "one address for two servers",
    '[server]\nstatus-addr = "127.0.0.1:20160"\n',
    ['f.toml:2: server.status-addr: given "127.0.0.1:20160", which is server.addr too'],
  ],
  [
    "several problems at once: all are told, in order",
    "unknown-a = 1\n[log]\nlevel = 7\n[storage]\nenable-ttl = 1\n",
    [
      "f.toml:1: unknown key unknown-a (given 1); expected a key of --print-default-config",
      'f.toml:3: log.level: given 7, expected one of "debug", "info", "warn", "error"',
      "f.toml:5: storage.enable-ttl: given 1, expected true or false",
    ],
  ],
];

for (const [name, text, expected] of BAD) {
  test(name, () => {
    assert.equal(linesOf(text), expected);
  });
}

test("lines are found behind multi-line strings, arrays, inline tables and CRLF", () => {
  const text =
    '[security]\r\nredact-info-log = false\r\n[pd]\r\nendpoints = [ # "x\r\n "127.0.0.1:1", # ]\r\n]\r\n' +
    "retry-interval = '''\r\n\r\n'''\r\n[log]\r\nfile = { filename = \"a]}#\", max-size = 0 }\r\n";
  assert.equal(linesOf(text), [
    'f.toml:7: pd.retry-interval: given "\\r\\n", expected a duration with units d, h, m, s, ms, such as "1m30s"',
    "f.toml:11: log.file.max-size: given 0, expected a whole number from 1 to 4096",
  ]);
});

test("keys of TiKV and PD that are not used get one warning each and start", () => {
  const checked = storeConfig(
    '[raftstore]\nprevote = true\n[rocksdb.writecf]\nblock-size = "32KB"\n[schedule]\nmax-merge-region-size = 54\n',
  );
  assert.equal(checked.problems, []);
  assert.equal(checked.warnings.map(formatProblem), [
    "f.toml:2: raftstore.prevote is a key of TiKV or PD that Rutile does not use",
    "f.toml:4: rocksdb.writecf.block-size is a key of TiKV or PD that Rutile does not use",
    "f.toml:6: schedule.max-merge-region-size is a key of TiKV or PD that Rutile does not use",
  ]);
});

test("a flag wins over the file, the file over the default", () => {
  const text = '[server]\naddr = "127.0.0.1:1"\nstatus-addr = "127.0.0.1:2"\n';
  const flag = { flag: "--addr", key: "server.addr", value: "127.0.0.1:9" };
  const { values, problems, given, where } = storeConfig(text, [flag]);
  assert.equal(problems, []);
  assert.is(values["server.addr"], "127.0.0.1:9");
  assert.is(values["server.status-addr"], "127.0.0.1:2");
  assert.is(values["storage.max-key-size"], 8192);
  assert.equal([...given].sort(), ["server.addr", "server.status-addr"]);
  assert.is(where("server.addr"), "--addr");
  assert.is(where("server.status-addr"), "f.toml:3");
});

test("a wrong flag names the flag", () => {
  const flag = { flag: "--labels", key: "server.labels", value: "zone" };
  assert.equal(storeConfig("", [flag]).problems.map(formatProblem), [
    '--labels: server.labels: given "zone", expected labels of letters, digits, "-", ' +
      '"_", ".", such as { zone = "z1" }',
  ]);
});

test("values have the types of their kinds", () => {
  const { values, problems } = storeConfig(
    [
      "storage.enable-ttl = true",
      'storage.block-cache.capacity = "1.5GB"',
      "raftstore.raft-entry-max-size = 1048576",
      'pd.endpoints = ["http://127.0.0.1:2379", "pd-1:2379"]',
      'server.labels = { zone = "z1", "host" = "h1" }',
      'server.addr = "[::1]:0"',
      'log.level = "warning"',
    ].join("\n"),
  );
  assert.equal(problems, []);
  assert.is(values["storage.enable-ttl"], true);
  assert.is(values["storage.block-cache.capacity"], 1.5 * 2 ** 30);
  assert.is(values["raftstore.raft-entry-max-size"], 2 ** 20);
  assert.equal(values["pd.endpoints"], ["127.0.0.1:2379", "pd-1:2379"]);
  assert.equal(values["server.labels"], { zone: "z1", host: "h1" });
  assert.is(values["log.level"], "warn");
});

test("files: empty, with a byte order mark, unreadable, a directory, huge, not UTF-8", () => {
  const dir = tmpDir("config");
  const at = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  assert.ok(readTomlFile(at("empty", "")).ok);
  const bom = readTomlFile(at("bom", "\ufeffstorage.enable-ttl = true\n"));
  assert.ok(bom.ok && bom.document.where("storage.enable-ttl").endsWith("bom:1"));
  const lineOf = (file: string): string => {
    const read = readTomlFile(file);
    return read.ok ? "ok" : read.problems.map(formatProblem).join("\n").replaceAll(dir, "D");
  };
  assert.match(lineOf(join(dir, "missing")), /^D\/missing: cannot be read: ENOENT/);
  mkdirSync(join(dir, "folder"));
  assert.is(lineOf(join(dir, "folder")), "D/folder: is a directory, expected a TOML file");
  const huge = at("huge", Buffer.alloc(2 * 1024 * 1024, 0x23));
  assert.is(lineOf(huge), "D/huge: is 2097152 bytes, a configuration has at most 1048576");
  assert.is(lineOf(at("binary", Buffer.of(0xff, 0xfe, 0x61, 0))), "D/binary: is not UTF-8 text");
});

test("a deeply nested file is refused without a crash", () => {
  const read = parseToml(`a = ${"[".repeat(200_000)}`, "f.toml");
  assert.not(read.ok);
});

test("the printed defaults parse back to the defaults", () => {
  for (const fields of [TIKV_FIELDS, PD_FIELDS]) {
    const read = parseToml(printConfig(fields, defaultsOf(fields)), "printed");
    assert.ok(read.ok);
    const checked = validate(fields, { document: read.document });
    assert.equal(checked.problems, []);
    assert.equal(checked.warnings, []);
    assert.equal(checked.values, defaultsOf(fields));
    assert.is(checked.given.size, Object.keys(fields).length, "every key is printed");
  }
});

test("defaults have no problems", () => {
  assert.equal(checkTikv(validate(TIKV_FIELDS, {})), []);
  assert.equal(checkPd(validate(PD_FIELDS, {})), []);
});

test("start puts PD and the store below one directory; a flag wins over the file", () => {
  const load = (text: string): Loaded<"start"> => {
    const file = join(tmpDir("config"), "rutile.toml");
    writeFileSync(file, text);
    const loaded = loadConfig("start", file, []);
    assert.ok(loaded.ok);
    return loaded.config;
  };
  const named = load('data-dir = "/p"\n[storage]\ndata-dir = "/s"\n');
  assert.equal(startDirs(load(""), undefined), {
    base: "./rutile-data",
    pd: "rutile-data/pd",
    store: "rutile-data/store",
  });
  assert.equal(startDirs(named, undefined), { base: "./rutile-data", pd: "/p", store: "/s" });
  assert.equal(startDirs(named, "/d"), { base: "/d", pd: "/d/pd", store: "/d/store" });
});

test("one file serves all roles; each warns about what only the other one uses", () => {
  const file = join(tmpDir("config"), "rutile.toml");
  writeFileSync(file, 'name = "p"\n[server]\naddr = "127.0.0.1:1"\n[log]\nlevel = "warn"\n');
  const lines = (role: "start" | "store" | "pd"): string[] => {
    const loaded = loadConfig(role, file, []);
    assert.ok(loaded.ok);
    return loaded.config.warnings.map((one) => formatProblem(one).replace(file, "F"));
  };
  const unused = "is used by another command, not by this one";
  assert.equal(lines("start"), []);
  assert.equal(lines("store"), [`F:1: name ${unused}`]);
  assert.equal(lines("pd"), [`F:3: server.addr ${unused}`]);
});

test("/config is nested and keeps numbers, booleans and units as TiKV does", () => {
  const json = configToJson(TIKV_FIELDS, defaultsOf(TIKV_FIELDS)) as {
    storage: Record<string, unknown>;
    raftstore: Record<string, unknown>;
  };
  assert.is(json.storage["api-version"], 1);
  assert.is(json.storage["enable-ttl"], false);
  assert.is(json.raftstore["raft-entry-max-size"], "8MiB");
  assert.is(json.raftstore["pd-heartbeat-tick-interval"], "1m");
});

test("PD refuses addresses that clients cannot use", () => {
  const flags = [{ flag: "--client-urls", key: "client-urls", value: "http://0.0.0.0:2379" }];
  assert.equal(checkPd(validate(PD_FIELDS, { flags })).map(formatProblem), [
    '--client-urls: client-urls: given "http://0.0.0.0:2379", which no client can ' +
      "connect to; set advertise-client-urls (--advertise-client-urls) to this host's " +
      "name or IP",
  ]);
});

test.run();
