/**
 * Builds build/pb from proto/*.proto: `npm run build:proto`.
 *
 *   wire.js, tipb.js          static encoders and decoders (protobufjs-cli), one namespace a package
 *   services.js               every method of every service with its path and its two messages
 *   *.d.ts                    types for these, written by typings.mjs from reflection
 *
 * Nothing is done when neither the inputs nor the versions of the tools have changed; the stamp in
 * build/pb says so.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { messageTypings, serviceModule, serviceTypings } from "./typings.mjs";

const require = createRequire(import.meta.url);
const protobuf = require("protobufjs");
const pbjs = require("protobufjs-cli/pbjs");

const PROTO = dirname(fileURLToPath(import.meta.url));
const OUT = join(PROTO, "..", "build", "pb");
const STAMP = join(OUT, ".stamp");

/** Returns the .proto files below `folder`, as paths relative to proto/, sorted. */
function protoFiles(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...protoFiles(path));
    else if (entry.name.endsWith(".proto")) found.push(relative(PROTO, path));
  }
  return found.sort();
}

function fingerprint(files) {
  const hash = createHash("sha256");
  for (const name of ["build.mjs", "typings.mjs", ...files]) {
    hash
      .update(name)
      .update("\0")
      .update(readFileSync(join(PROTO, name)))
      .update("\0");
  }
  hash.update(require("protobufjs/package.json").version);
  hash.update(require("protobufjs-cli/package.json").version);
  return hash.digest("hex");
}

function load(files) {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(PROTO, target);
  root.loadSync(files);
  root.resolveAll();
  return root;
}

/** Returns static code for everything in `root`. 64-bit fields are always Long. */
function staticCode(root, rootName) {
  const options = {
    target: "static-module",
    wrap: "es6",
    es6: true,
    root: rootName,
    "force-long": true,
    comments: false,
    verify: false,
    convert: false,
    delimited: false,
    typeurl: false,
    service: false,
    beautify: false,
    lint: "",
  };
  let output = "";
  pbjs.generate(root, options, (error, text) => {
    if (error) throw error;
    output = text;
  });
  return output;
}

function main() {
  const files = protoFiles(PROTO);
  const stamp = fingerprint(files);
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === stamp) return;
  const started = process.hrtime.bigint();
  mkdirSync(OUT, { recursive: true });
  const tipbFiles = files.filter((file) => file.startsWith("tipb"));
  const wire = load(files.filter((file) => !tipbFiles.includes(file)));
  const tipb = load(tipbFiles);
  const outputs = {
    "wire.js": staticCode(wire, "rutile_wire"),
    "wire.d.ts": messageTypings(wire),
    "tipb.js": staticCode(tipb, "rutile_tipb"),
    "tipb.d.ts": messageTypings(tipb),
    "services.js": serviceModule(wire, "./wire.js"),
    "services.d.ts": serviceTypings(wire, "./wire.js"),
    "tipb_services.js": serviceModule(tipb, "./tipb.js"),
    "tipb_services.d.ts": serviceTypings(tipb, "./tipb.js"),
  };
  for (const [name, text] of Object.entries(outputs)) writeFileSync(join(OUT, name), text);
  writeFileSync(STAMP, stamp);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(`build/pb: ${files.length} .proto files in ${seconds.toFixed(1)} s`);
}

main();
