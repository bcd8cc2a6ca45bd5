/** `rutile ctl` operator and store: what PD is doing, why, and orders to it. */
import type { Command } from "commander";
import { type CtlContext, CtlError } from "./ctl_context.js";
import { askPd, type Method } from "./ctl_http.js";
import type { Row } from "./ctl_output.js";

interface OperatorJson {
  readonly region_id: number;
  readonly desc: string;
  readonly kind: string;
  readonly status: string;
  readonly reason: string;
  readonly steps: readonly string[];
  readonly current_step: number;
  readonly seconds: number;
}

interface ReasonJson {
  readonly region_id: number;
  readonly checker: string;
  readonly reason: string;
  readonly seconds: number;
}

/** The names that `operator add` takes, with what follows the region. */
const ADD: Readonly<Record<string, readonly string[]>> = {
  "transfer-leader": ["to_store_id"],
  "add-peer": ["store_id"],
  "add-learner": ["store_id"],
  "remove-peer": ["store_id"],
  "transfer-peer": ["from_store_id", "to_store_id"],
  "split-region": [],
  "scatter-region": [],
};

function operatorRow(one: OperatorJson): Row {
  return {
    region: one.region_id,
    operator: one.desc,
    kind: one.kind,
    status: one.status,
    step: `${Math.min(one.current_step + 1, one.steps.length)}/${one.steps.length}`,
    now: one.steps[one.current_step],
    seconds: one.seconds.toFixed(1),
    reason: one.reason === "" ? undefined : one.reason,
  };
}

function idOf(text: string, what: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CtlError(`not a ${what} id: ${text}`);
}

/** Adds `operator` to `ctl`. */
export function addOperatorCommands(ctl: Command, context: CtlContext): void {
  const operator = ctl.command("operator").description("what PD is doing with Regions, and why");
  const list = (path: string) => () =>
    context.withPd(async (pd) => {
      const found = (await askPd(pd, "GET", `${path}?object=true`)) as OperatorJson[];
      return found.map(operatorRow);
    });
  operator
    .command("list", { isDefault: true })
    .description("operators under way")
    .action(list("operators"));
  operator
    .command("history")
    .description("what became of earlier ones")
    .action(list("operators/records"));
  operator
    .command("why")
    .description("why Regions that need something get nothing")
    .action(() =>
      context.withPd(async (pd) => {
        const found = (await askPd(pd, "GET", "operators/reasons")) as ReasonJson[];
        return found.map(({ checker, reason, region_id, seconds }) => ({
          region: region_id,
          checker,
          reason,
          seconds: seconds.toFixed(1),
        }));
      }),
    );
  operator
    .command("add")
    .description(`adds one: ${Object.keys(ADD).join(", ")}`)
    .argument("<name>")
    .argument("<region>", "region id")
    .argument("[stores...]", "store ids, as the name wants them")
    .action((name: string, region: string, stores: readonly string[]) =>
      order(context, "POST", async () => addBody(name, region, stores)),
    );
  operator
    .command("cancel")
    .description("ends the operator of a Region")
    .argument("<region>", "region id")
    .action((region: string) =>
      order(context, "DELETE", async () => ({ path: `operators/${idOf(region, "region")}` })),
    );
}

interface Order {
  readonly path: string;
  readonly body?: object;
}

function addBody(name: string, region: string, stores: readonly string[]): Order {
  const wanted = Object.hasOwn(ADD, name) ? ADD[name] : undefined;
  if (wanted === undefined) throw new CtlError(`no operator ${name}`);
  if (wanted.length !== stores.length) {
    throw new CtlError(`${name} takes ${wanted.length} stores, not ${stores.length}`);
  }
  const named = wanted.map((key, i) => [key, idOf(stores[i] as string, "store")]);
  const body = { name, region_id: idOf(region, "region"), ...Object.fromEntries(named) };
  return { path: "operators", body };
}

/** Sends an order and prints PD's word. */
function order(context: CtlContext, method: Method, make: () => Promise<Order>): Promise<void> {
  return context.withPd(async (pd) => {
    const { body, path } = await make();
    const answer = await askPd(pd, method, path, body);
    return [{ ok: true, answer: typeof answer === "string" ? answer : undefined }];
  });
}

interface StoreJson {
  readonly store: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

/** Adds `store` to `ctl`. */
export function addStoreCommands(ctl: Command, context: CtlContext): void {
  const store = ctl.command("store").description("one store: its load and scores, its end");
  store
    .command("show", { isDefault: true })
    .description("all that PD knows of a store")
    .argument("<id>", "store id")
    .action((id: string) =>
      context.withPd(async (pd) => {
        const found = (await askPd(pd, "GET", `store/${idOf(id, "store")}`)) as StoreJson;
        const fields = { ...found.store, ...found.status };
        return Object.entries(fields).map(([name, value]) => ({ name, value: textOf(value) }));
      }),
    );
  store
    .command("delete")
    .description("moves everything away from a store, which becomes a tombstone")
    .argument("<id>", "store id")
    .action((id: string) =>
      order(context, "DELETE", async () => ({ path: `store/${idOf(id, "store")}` })),
    );
  store
    .command("up")
    .description("takes back a delete that is under way")
    .argument("<id>", "store id")
    .action((id: string) =>
      order(context, "POST", async () => ({ path: `store/${idOf(id, "store")}/state?state=Up` })),
    );
}

function textOf(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
