/** `rutile ctl gc`: safe points, barriers, and who leads GC. */
import type { Command } from "commander";
import { type CtlContext, CtlError, mustPd, timeOf, timestampOf } from "./ctl_context.js";
import { askPd, order } from "./ctl_http.js";

/** Adds the commands to `ctl`. */
export function addGcCommands(ctl: Command, context: CtlContext): void {
  const gc = ctl.command("gc").description("garbage collection: safe points, barriers, leader");
  gc.command("state", { isDefault: true })
    .description("safe points, and the barriers that hold them back")
    .action(() =>
      context.withPd(async (pd) => {
        const { barriers, gcSafePoint, txnSafePoint } = mustPd(await pd.getGcState());
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
        const barrier = mustPd(await pd.setGcBarrier(id, timestampOf(timestamp), ttl));
        return [{ id: barrier.id, timestamp: barrier.ts.toString() }];
      }),
    );
  gc.command("barrier-delete")
    .description("deletes a barrier")
    .argument("<id>", "name of the barrier")
    .action((id: string) =>
      context.withPd(async (pd) => {
        const gone = mustPd(await pd.deleteGcBarrier(id));
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
