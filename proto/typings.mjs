/**
 * Writes TypeScript declarations and the service table for static protobuf code, from protobufjs
 * reflection. Not a general tool: it knows the options that build.mjs generates with (forceLong,
 * no verify, no converters).
 *
 * For a message M there is an interface IM, what an encoder takes (every field may be left out), and
 * a class M, what a decoder gives (a missing scalar has its default, a missing message is null).
 * Enums are open: their type is number, their value object names the known numbers.
 */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Enum, MapField, Namespace, Service, Type } = require("protobufjs");

const LONGS = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const SCALARS = { bool: "boolean", string: "string", bytes: "Uint8Array" };
const HEAD = "// Written by proto/build.mjs.\n";

const nameOf = (object) => object.fullName.slice(1);

function scalarType(type, input) {
  if (LONGS.has(type)) return input ? "Long | number" : "Long";
  return SCALARS[type] ?? "number";
}

/** Returns the type of one element of `field`. */
function elementType(field, input) {
  const resolved = field.resolvedType;
  if (resolved instanceof Enum) return "number";
  if (resolved === null) return scalarType(field.type, input);
  const name = nameOf(resolved);
  if (!input) return name;
  const dot = name.lastIndexOf(".");
  return `${name.slice(0, dot + 1)}I${name.slice(dot + 1)}`;
}

function wrap(type) {
  return type.includes("|") ? `(${type})` : type;
}

function inputType(field) {
  const element = elementType(field, true);
  if (field instanceof MapField) return `{ readonly [key: string]: ${element} }`;
  return field.repeated ? `readonly ${wrap(element)}[]` : element;
}

function outputType(field) {
  const element = elementType(field, false);
  if (field instanceof MapField) return `{ [key: string]: ${element} }`;
  if (field.repeated) return `${element}[]`;
  const nullable = field.resolvedType instanceof Type || field.partOf !== null;
  return nullable ? `${element} | null` : element;
}

function messageLines(type, indent) {
  const lines = [];
  const fields = type.fieldsArray;
  lines.push(`interface I${type.name} {`);
  for (const field of fields) {
    if (field.required) lines.push(`  ${field.name}: ${inputType(field)};`);
    else lines.push(`  ${field.name}?: ${inputType(field)} | null | undefined;`);
  }
  lines.push("}", `class ${type.name} {`);
  const optional = fields.some((field) => field.required) ? "" : "?";
  lines.push(`  constructor(properties?: I${type.name});`);
  for (const field of fields) lines.push(`  ${field.name}: ${outputType(field)};`);
  for (const oneof of type.oneofsArray) {
    const members = oneof.fieldsArray.map((field) => JSON.stringify(field.name)).join(" | ");
    lines.push(`  readonly ${oneof.name}: ${members} | undefined;`);
  }
  lines.push(`  static create(properties${optional}: I${type.name}): ${type.name};`);
  lines.push(`  static encode(message: I${type.name}, writer?: Writer): Writer;`);
  lines.push(`  static decode(reader: Reader | Uint8Array, length?: number): ${type.name};`);
  lines.push("}");
  if (type.nestedArray.length > 0) lines.push(...namespaceLines(type, ""));
  return lines.map((line) => indent + line);
}

function enumLines(type, indent) {
  const lines = [`type ${type.name} = number;`, `const ${type.name}: {`];
  for (const [name, value] of Object.entries(type.values))
    lines.push(`  readonly ${name}: ${value};`);
  lines.push("  readonly [value: number]: string;", "};");
  return lines.map((line) => indent + line);
}

function namespaceLines(namespace, prefix) {
  const lines = [`${prefix}namespace ${namespace.name} {`];
  for (const nested of namespace.nestedArray) {
    if (nested instanceof Type) lines.push(...messageLines(nested, "  "));
    else if (nested instanceof Enum) lines.push(...enumLines(nested, "  "));
    else if (nested instanceof Namespace && !(nested instanceof Service)) {
      lines.push(...namespaceLines(nested, "").map((line) => `  ${line}`));
    }
  }
  lines.push("}");
  return lines;
}

/** Returns the declarations of every package in `root`. */
export function messageTypings(root) {
  const imports = `import type Long from "long";\nimport type { Reader, Writer } from "protobufjs/minimal.js";\n`;
  const parts = root.nestedArray.map((pkg) => namespaceLines(pkg, "export declare ").join("\n"));
  return `${HEAD}${imports}\n${parts.join("\n")}\n`;
}

function servicesOf(namespace) {
  const found = [];
  for (const nested of namespace.nestedArray) {
    if (nested instanceof Service) found.push(nested);
    else if (nested instanceof Namespace && !(nested instanceof Type))
      found.push(...servicesOf(nested));
  }
  return found;
}

/** Returns the module that lists every method of every service in `root`. */
export function serviceModule(root, wirePath) {
  const lines = [`${HEAD}import * as wire from "${wirePath}";\n`, "export const SERVICES = {"];
  for (const service of servicesOf(root)) {
    lines.push(`  "${nameOf(service)}": {`);
    for (const method of service.methodsArray) {
      const path = `/${nameOf(service)}/${method.name}`;
      lines.push(
        `    ${method.name}: { service: "${nameOf(service)}", method: "${method.name}", path: "${path}", ` +
          `requestStream: ${Boolean(method.requestStream)}, responseStream: ${Boolean(method.responseStream)}, ` +
          `request: wire.${nameOf(method.resolvedRequestType)}, response: wire.${nameOf(method.resolvedResponseType)} },`,
      );
    }
    lines.push("  },");
  }
  lines.push("};", "");
  return lines.join("\n");
}

/** Returns the declarations of serviceModule's output. */
export function serviceTypings(root, wirePath) {
  const lines = [
    `${HEAD}import type { Reader, Writer } from "protobufjs/minimal.js";`,
    `import type * as wire from "${wirePath}";\n`,
    "interface Codec<In, Out> {",
    "  encode(message: In, writer?: Writer): Writer;",
    "  decode(reader: Reader | Uint8Array, length?: number): Out;",
    "}",
    "interface Method<Service, Name, ReqIn, Req, ResIn, Res, ReqStream, ResStream> {",
    "  readonly service: Service;",
    "  readonly method: Name;",
    "  readonly path: string;",
    "  readonly requestStream: ReqStream;",
    "  readonly responseStream: ResStream;",
    "  readonly request: Codec<ReqIn, Req>;",
    "  readonly response: Codec<ResIn, Res>;",
    "}",
    "export declare const SERVICES: {",
  ];
  const pair = (type) => {
    const name = nameOf(type);
    const dot = name.lastIndexOf(".");
    return `wire.${name.slice(0, dot + 1)}I${name.slice(dot + 1)}, wire.${name}`;
  };
  for (const service of servicesOf(root)) {
    lines.push(`  readonly "${nameOf(service)}": {`);
    for (const method of service.methodsArray) {
      lines.push(
        `    readonly ${method.name}: Method<"${nameOf(service)}", "${method.name}", ` +
          `${pair(method.resolvedRequestType)}, ${pair(method.resolvedResponseType)}, ` +
          `${Boolean(method.requestStream)}, ${Boolean(method.responseStream)}>;`,
      );
    }
    lines.push("  };");
  }
  lines.push("};", "");
  return lines.join("\n");
}
