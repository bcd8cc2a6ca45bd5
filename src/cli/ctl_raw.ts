/** `rutile ctl` get, put, delete, scan: raw keys and values. */
import type { Command } from "commander";
import type { KvPair } from "../client/index.js";
import { type CtlContext, CtlError } from "./ctl_context.js";
import { bytesText, parseBytes, type Row } from "./ctl_output.js";

interface ScanFlags {
  readonly limit: number;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
}

/** Adds the commands to `ctl`. Keys and values are text, or hex behind 0x. */
export function addRawCommands(ctl: Command, context: CtlContext): void {
  const show = (bytes: Uint8Array): string => bytesText(bytes, context.options.hex === true);
  ctl
    .command("get")
    .description("prints the value of a key; exit code 1 if there is none")
    .argument("<key>")
    .action((key: string) =>
      context.withRaw(async (client) => {
        const value = await client.get(parseBytes(key));
        if (value === undefined) context.missing("not found", { found: false, key });
        else context.printOne(show(value), { found: true, key, value: show(value) });
      }),
    );
  ctl
    .command("put")
    .description("writes a pair")
    .argument("<key>")
    .argument("<value>")
    .option("--ttl <seconds>", "seconds until it vanishes; needs a store with TTLs", Number, 0)
    .action((key: string, value: string, flags: { ttl: number }) =>
      context.withRaw(async (client) => {
        const pair = [parseBytes(key), parseBytes(value)] as const;
        await client.put(...pair, { ttlSeconds: flags.ttl });
        context.printOne("ok", { ok: true });
      }),
    );
  ctl
    .command("delete")
    .description("deletes a key; a missing one is no error")
    .argument("<key>")
    .action((key: string) =>
      context.withRaw(async (client) => {
        await client.delete(parseBytes(key));
        context.printOne("ok", { ok: true });
      }),
    );
  ctl
    .command("scan")
    .description("prints the pairs of [start, end)")
    .argument("[start]", "first key; none: from the beginning", "")
    .argument("[end]", "end, exclusive; none: to the end", "")
    .option("--limit <count>", "most pairs", Number, 100)
    .option("--reverse", "from the last to the first")
    .option("--keys-only", "without values")
    .action((start: string, end: string, flags: ScanFlags) =>
      context.withRaw(async (client) => {
        if (!(flags.limit >= 0)) throw new CtlError("--limit must be a number from 0 on");
        const keyOnly = flags.keysOnly === true;
        const range = { start: parseBytes(start), end: parseBytes(end) };
        const options = { ...range, limit: flags.limit, keyOnly };
        const pairs = flags.reverse === true ? client.reverseScan(options) : client.scan(options);
        const rows: Row[] = [];
        for await (const pair of pairs) rows.push(pairRow(pair, keyOnly, show));
        context.print(rows);
      }),
    );
}

function pairRow(pair: KvPair, keyOnly: boolean, show: (bytes: Uint8Array) => string): Row {
  const key = show(pair.key);
  return keyOnly ? { key } : { key, value: show(pair.value) };
}
