/** `rutile ctl gc`: safe points, barriers, and who leads GC. */
import type { Command } from "commander";
import type { PdReply } from "../pd_client/index.js";
import { type CtlContext, CtlError } from "./ctl_context.js";
import { askPd, order } from "./ctl_http.js";

function must<T>(reply: PdReply<T>): T {
  if (reply.ok) return reply.value;
  throw new CtlError(`PD: ${reply.error.message} (${reply.error.kind})`);
}

function timestampOf(text: string): bigint {
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  throw new CtlError(`not a timestamp: ${text}`);
}

/** Below them a timestamp is physical milliseconds. */
const LOGICAL_BITS = 18n;

function timeOf(ts: bigint): string | undefined {
  const date = new Date(Number(ts >> LOGICAL_BITS));
  return ts === 0n || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Adds the commands to `ctl`. */
export function addGcCommands(ctl: Command, context: CtlContext): void {
  const gc = ctl.command("gc").description("garbage collection: safe points, barriers, leader");
  gc.command("state", { isDefault: true })
    .description("safe points, and the barriers that hold them back")
    .action(() =>
      context.withPd(async (pd) => {
        const { barriers, gcSafePoint, txnSafePoint } = must(await pd.getGcState());
        const row = (what: string, ts: bigint, ttlSeconds?: bigint) => ({
          what,
          timestamp: ts.toString(),
          time: timeOf(ts),
          ttl_seconds: ttlSeconds?.toString(),
        });
        return [
          row("gc_safe_point", gcSafePoint),
          row("txn_safe_point", txnSafePoint),
          ...barriers.map(({ id, ts, ttlSeconds }) => row(`barrier ${id}`, ts, ttlSeconds)),
        ];
      }),
    );
  gc.command("barrier-set")
    .description("keeps snapshots at and above a timestamp readable")
    .argument("<id>", "name of the barrier")
    .argument("<timestamp>", "not below the txn safe point")
    .option("--ttl <seconds>", "how long; without it until it is deleted")
    .action((id: string, timestamp: string, options: { ttl?: string }) =>
      context.withPd(async (pd) => {
        const ttl = options.ttl === undefined ? undefined : timestampOf(options.ttl);
        const barrier = must(await pd.setGcBarrier(id, timestampOf(timestamp), ttl));
        return [{ id: barrier.id, timestamp: barrier.ts.toString() }];
      }),
    );
  gc.command("barrier-delete")
    .description("deletes a barrier")
    .argument("<id>", "name of the barrier")
    .action((id: string) =>
      context.withPd(async (pd) => {
        const gone = must(await pd.deleteGcBarrier(id));
        if (gone === undefined) throw new CtlError(`PD knows no barrier ${id}`);
        return [{ id: gone.id, timestamp: gone.ts.toString() }];
      }),
    );
  gc.command("leader")
    .description("who moves the safe points; with a name: who shall")
    .argument("[leader]", "builtin (PD itself) or external")
    .action((leader: string | undefined) => {
      if (leader !== undefined) {
        return order(context, "POST", async () => ({ path: "gc/leader", body: { leader } }));
      }
      return context.withPd(async (pd) => {
        const state = (await askPd(pd, "GET", "gc/state")) as { readonly leader: string };
        return [{ leader: state.leader }];
      });
    });
}
