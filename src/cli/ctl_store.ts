/** `rutile ctl` store, scheduler and config: what stores hold, and orders to PD about them. */
import type { Command } from "commander";
import { type CtlContext, CtlError } from "./ctl_context.js";
import { askPd, idOf, order } from "./ctl_http.js";
import type { Row } from "./ctl_output.js";

interface StoreAnswer {
  readonly store: Readonly<Record<string, string | number | undefined>>;
  readonly status: Readonly<Record<string, string | number | undefined>>;
}

function storeRow({ status, store }: StoreAnswer): Row {
  return {
    id: store.id,
    address: store.address,
    state: store.state_name,
    leaders: status.leader_count,
    regions: status.region_count,
    learners: status.learner_count ?? 0,
    pending: status.pending_peer_count ?? 0,
    region_score: Number(status.region_score ?? 0).toFixed(1),
    capacity: status.capacity,
    available: status.available,
    uptime: status.uptime,
  };
}

/** One field a line. */
function fieldRows({ status, store }: StoreAnswer): Row[] {
  return Object.entries({ ...store, ...status }).map(([name, value]) => ({
    name,
    value: typeof value === "object" ? JSON.stringify(value) : String(value),
  }));
}

function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new CtlError(`not key=value: ${text}`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Adds `store` to `ctl`. */
export function addStoreCommands(ctl: Command, context: CtlContext): void {
  const store = ctl.command("store").description("stores: load and scores, taking them out and in");
  store
    .command("show", { isDefault: true })
    .description("all that PD knows of a store, or the load of each")
    .argument("[id]", "store id")
    .action((id: string | undefined) =>
      context.withPd(async (pd) => {
        if (id !== undefined) {
          const path = `store/${idOf(id, "store")}`;
          return fieldRows((await askPd(pd, "GET", path)) as StoreAnswer);
        }
        const all = (await askPd(pd, "GET", "stores")) as { readonly stores: StoreAnswer[] };
        return all.stores.map(storeRow);
      }),
    );
  store
    .command("delete")
    .description("moves everything away from a store, which becomes a tombstone")
    .argument("<id>", "store id")
    .option("--force", "its data is lost: it goes even if too few stores are left")
    .action((id: string, { force }: { force?: boolean }) =>
      order(context, "DELETE", async () => ({
        path: `store/${idOf(id, "store")}${force === true ? "?force" : ""}`,
      })),
    );
  store
    .command("up")
    .description("takes back a delete that is under way")
    .argument("<id>", "store id")
    .action((id: string) =>
      order(context, "POST", async () => ({ path: `store/${idOf(id, "store")}/state?state=Up` })),
    );
  store
    .command("label")
    .description('sets labels; an empty value removes one: "zone="')
    .argument("<id>", "store id")
    .argument("<labels...>", "key=value")
    .action((id: string, labels: string[]) =>
      order(context, "POST", async () => ({
        path: `store/${idOf(id, "store")}/label`,
        body: pairs(labels),
      })),
    );
  store
    .command("limit")
    .description("how many peers a minute a store may gain and lose")
    .argument("<id>", "store id")
    .argument("<rate>", "peers a minute", Number)
    .option("--type <type>", "add-peer or remove-peer; both without it")
    .action((id: string, rate: number, { type }: { type?: string }) =>
      order(context, "POST", async () => ({
        path: `store/${idOf(id, "store")}/limit`,
        body: { rate, type },
      })),
    );
}

/** Adds `scheduler` to `ctl`. */
export function addSchedulerCommands(ctl: Command, context: CtlContext): void {
  const scheduler = ctl.command("scheduler").description("what balances the cluster");
  const pause = (name: string, delay: number): Promise<void> =>
    order(context, "POST", async () => ({
      path: `schedulers/${encodeURIComponent(name)}`,
      body: { delay },
    }));
  scheduler
    .command("list", { isDefault: true })
    .description("schedulers, and which of them rest")
    .action(() =>
      context.withPd(async (pd) => {
        const all = (await askPd(pd, "GET", "schedulers")) as string[];
        const paused = (await askPd(pd, "GET", "schedulers?status=paused")) as string[];
        return all.map((name) => ({
          scheduler: name,
          state: paused.includes(name) ? "paused" : "runs",
        }));
      }),
    );
  scheduler
    .command("pause")
    .description("lets a scheduler, or all, rest")
    .argument("<name>", 'name, or "all"')
    .argument("<seconds>", "for how long", Number)
    .action(pause);
  scheduler
    .command("resume")
    .description("lets a scheduler, or all, go on")
    .argument("<name>", 'name, or "all"')
    .action((name: string) => pause(name, 0));
}

/** Adds `config` to `ctl`. */
export function addConfigCommands(ctl: Command, context: CtlContext): void {
  const config = ctl.command("config").description("PD's configuration of scheduling");
  config
    .command("show", { isDefault: true })
    .description("keys and values")
    .action(() =>
      context.withPd(async (pd) => {
        const all = (await askPd(pd, "GET", "config")) as Record<
          string,
          Record<string, Row[string]>
        >;
        return ["replication", "schedule"].flatMap((section) =>
          Object.entries(all[section] ?? {}).map(([key, value]) => ({
            key: `${section}.${key}`,
            value,
          })),
        );
      }),
    );
  config
    .command("set")
    .description("changes keys for good, also over a restart")
    .argument("<changes...>", "key=value, such as replication.max-replicas=5")
    .action((changes: string[]) =>
      order(context, "POST", async () => ({ path: "config", body: pairs(changes) })),
    );
}
