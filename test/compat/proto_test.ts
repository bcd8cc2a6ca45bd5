/**
 * Compares proto/*.proto with the tables in test/compat/wire, in both directions: what is in the
 * files is in the tables and the other way round. The tables say what TiKV, PD, TiDB and etcd send.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { methodsOf, serviceNames } from "../../src/pb/index.js";

const ROOT = process.cwd();
const SETS = ["kvproto", "tipb", "etcd"] as const;

function table(name: string): string[][] {
  const text = readFileSync(join(ROOT, "test/compat/wire", name), "utf8").trimEnd();
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));
}

function protoFiles(folder: string): string[] {
  return readdirSync(join(ROOT, "proto", folder))
    .filter((name) => name.endsWith(".proto"))
    .map((name) => join(folder, name));
}

const FILES = [...protoFiles("."), ...protoFiles("tipb")];

function loadAll(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(ROOT, "proto", target);
  root.loadSync(FILES, { keepCase: true });
  root.resolveAll();
  return root;
}

const root = loadAll();
const types: protobuf.Type[] = [];
const enums: protobuf.Enum[] = [];
const services: protobuf.Service[] = [];

function collect(object: protobuf.ReflectionObject): void {
  if (object instanceof protobuf.Enum) enums.push(object);
  else if (object instanceof protobuf.Service) services.push(object);
  else if (object instanceof protobuf.Namespace) {
    if (object instanceof protobuf.Type) types.push(object);
    for (const nested of object.nestedArray) collect(nested);
  }
}
collect(root);

const nameOf = (object: protobuf.ReflectionObject): string => object.fullName.slice(1);

function labelOf(field: protobuf.Field): string {
  if (field.partOf !== null && field.partOf !== undefined) return `oneof:${field.partOf.name}`;
  if (field instanceof protobuf.MapField) return "map";
  if (field.repeated) return "repeated";
  return field.required ? "required" : "optional";
}

function typeOf(field: protobuf.Field): string {
  const type = field.resolvedType === null ? field.type : nameOf(field.resolvedType);
  return field instanceof protobuf.MapField ? `map<${field.keyType},${type}>` : type;
}

const PACKABLE = /^(u?int|sint|s?fixed)(32|64)$|^(bool|float|double)$/;

function isPackable(field: protobuf.Field): boolean {
  return (
    field.repeated && (field.resolvedType instanceof protobuf.Enum || PACKABLE.test(field.type))
  );
}

/** One line per fact, so that a difference names the field and what is wrong with it. */
function factsOfFiles(): string[] {
  const facts: string[] = [];
  for (const type of types) {
    facts.push(`message ${nameOf(type)}`);
    for (const field of type.fieldsArray) {
      const deprecated = field.options?.deprecated === true ? " deprecated" : "";
      const packed = isPackable(field) ? (field.packed ? " packed" : " unpacked") : "";
      facts.push(
        `field ${nameOf(type)} ${field.id} ${field.name} ${typeOf(field)} ${labelOf(field)}${packed}${deprecated}`,
      );
    }
    for (const item of type.reserved ?? []) {
      const text = typeof item === "string" ? item : [...new Set(item)].join(" to ");
      facts.push(`reserved ${nameOf(type)} ${text}`);
    }
  }
  for (const type of enums) {
    for (const [name, value] of Object.entries(type.values)) {
      const deprecated = type.valuesOptions?.[name]?.deprecated === true ? " deprecated" : "";
      facts.push(`enum ${nameOf(type)} ${name} ${value}${deprecated}`);
    }
  }
  for (const service of services) {
    for (const method of service.methodsArray) {
      const request = nameOf(method.resolvedRequestType as protobuf.Type);
      const response = nameOf(method.resolvedResponseType as protobuf.Type);
      const streams = `${method.requestStream ? 1 : 0}${method.responseStream ? 1 : 0}`;
      facts.push(`rpc ${nameOf(service)} ${method.name} ${request} ${response} ${streams}`);
    }
  }
  return facts.sort();
}

function fieldFact(row: readonly string[]): string {
  const [message, id, name, type, label, flags = ""] = row as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  const marks = flags.split(",");
  const map = type === "map";
  const packed = marks.includes("packed")
    ? " packed"
    : marks.includes("unpacked")
      ? " unpacked"
      : "";
  const deprecated = marks.includes("deprecated") ? " deprecated" : "";
  return `field ${message} ${id} ${name} ${map ? label : type} ${map ? "map" : label}${packed}${deprecated}`;
}

function factsOfTables(): string[] {
  const facts = new Set<string>();
  for (const set of SETS) {
    for (const row of table(`${set}-fields.tsv`)) {
      facts.add(`message ${row[0]}`);
      if (row[1] !== "-") facts.add(fieldFact(row));
    }
    for (const [name, value, number, flags] of table(`${set}-enums.tsv`)) {
      facts.add(`enum ${name} ${value} ${number}${flags === "deprecated" ? " deprecated" : ""}`);
    }
    for (const [service, method, request, response, client, server] of table(
      `${set}-services.tsv`,
    )) {
      facts.add(`rpc ${service} ${method} ${request} ${response} ${client}${server}`);
    }
  }
  for (const set of ["kvproto", "tipb"]) {
    for (const [scope, , item] of table(`${set}-reserved.tsv`))
      facts.add(`reserved ${scope} ${item}`);
  }
  return [...facts].sort();
}

test("every fact of the tables is in the files, and nothing else", () => {
  const files = new Set(factsOfFiles());
  const tables = new Set(factsOfTables());
  assert.equal(
    [...tables].filter((fact) => !files.has(fact)),
    [],
    "in the tables, not in the files",
  );
  assert.equal(
    [...files].filter((fact) => !tables.has(fact)),
    [],
    "in the files, not in the tables",
  );
  const count = (kind: string): number => [...files].filter((f) => f.startsWith(`${kind} `)).length;
  const kinds = ["message", "field", "enum", "rpc", "reserved"];
  console.log(`100 % match: ${kinds.map((kind) => `${count(kind)} ${kind}`).join(", ")} facts`);
  for (const kind of kinds) assert.ok(count(kind) > 10, `${kind} facts were compared`);
});

test("files have the syntax, the package and the imports of the tables", () => {
  let compared = 0;
  for (const [set, folder] of [
    ["kvproto", "."],
    ["tipb", "tipb"],
  ] as const) {
    for (const [file, pkg, syntax, messages, fields, , , imports = ""] of table(
      `${set}-syntax.tsv`,
    )) {
      const text = readFileSync(join(ROOT, "proto", folder, file as string), "utf8");
      assert.match(text, `syntax = "${syntax}";`, `${file} syntax`);
      assert.match(text, `package ${pkg};`, `${file} package`);
      const found = [...text.matchAll(/^import "(?:tipb\/)?(.+)";$/gm)].map((match) => match[1]);
      assert.equal(found, imports.split(" ").filter(Boolean), `${file} imports`);
      assert.is([...text.matchAll(/^ *message /gm)].length, Number(messages), `${file} messages`);
      assert.is([...text.matchAll(/ = \d+( \[.*\])?;$/gm)].length >= Number(fields), true, file);
      compared++;
    }
  }
  assert.is(compared, 46);
});

test("the generated service table has every method with its codecs", () => {
  let methods = 0;
  for (const service of serviceNames()) {
    for (const [name, info] of Object.entries(methodsOf(service))) {
      assert.is(info.path, `/${service}/${name}`);
      assert.type(info.request.decode, "function", info.path);
      assert.type(info.response.encode, "function", info.path);
      methods++;
    }
  }
  const rows = [...table("kvproto-services.tsv"), ...table("etcd-services.tsv")];
  assert.is(methods, rows.length);
  for (const [service, method, , , client, server] of rows) {
    const info = methodsOf(service as never)[method as string];
    assert.is(info?.requestStream, client === "1", `${service} ${method}`);
    assert.is(info?.responseStream, server === "1", `${service} ${method}`);
  }
});

test.run();
