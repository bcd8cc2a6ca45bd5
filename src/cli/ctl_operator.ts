/** `rutile ctl operator`: what PD does to Regions, why, and operators on request. */
import type { Command } from "commander";
import { toHex } from "../base/index.js";
import { type CtlContext, CtlError } from "./ctl_context.js";
import { askPd, idOf, order } from "./ctl_http.js";
import { parseBytes, type Row } from "./ctl_output.js";

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

type MakeBody = (args: readonly string[], name: string) => object;

/** Takes exactly the stores named; `keys` are the fields of the request. */
function stores(...keys: readonly string[]): MakeBody {
  return (args, name) => {
    if (args.length !== keys.length) {
      throw new CtlError(`${name} takes ${keys.length} stores, not ${args.length}`);
    }
    return Object.fromEntries(keys.map((key, at) => [key, idOf(args[at] as string, "store")]));
  };
}

/** The names that `operator add` takes, with what becomes of the arguments behind the Region. */
const ADD: Readonly<Record<string, MakeBody>> = {
  "transfer-leader": stores("to_store_id"),
  "add-peer": stores("store_id"),
  "add-learner": stores("store_id"),
  "remove-peer": stores("store_id"),
  "transfer-peer": stores("from_store_id", "to_store_id"),
  "transfer-region": (args) => ({ to_store_ids: args.map((one) => idOf(one, "store")) }),
  "split-region": (keys) => ({
    policy: keys.length > 0 ? "usekey" : "approximate",
    keys: keys.map((key) => toHex(parseBytes(key))),
  }),
  "scatter-region": stores(),
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
    .command("show")
    .description("the steps of the operator of a Region, under way or the last that ended")
    .argument("<region>", "region id")
    .action((region: string) =>
      context.withPd(async (pd) => {
        const path = `operators/${idOf(region, "region")}`;
        const shown = (await askPd(pd, "GET", path)) as OperatorJson;
        return shown.steps.map((step, at) => ({
          step: at + 1,
          what: step,
          state:
            at < shown.current_step ? "done" : at === shown.current_step ? shown.status : undefined,
        }));
      }),
    );
  operator
    .command("add")
    .description(`adds one: ${Object.keys(ADD).join(", ")}`)
    .argument("<name>")
    .argument("<region>", "region id")
    .argument("[args...]", "store ids, as the name wants them; for a split the keys (0x… for hex)")
    .action((name: string, region: string, args: readonly string[]) =>
      order(context, "POST", async () => {
        const make = Object.hasOwn(ADD, name) ? ADD[name] : undefined;
        if (make === undefined) throw new CtlError(`no operator ${name}`);
        const body = { name, region_id: idOf(region, "region"), ...make(args, name) };
        return { path: "operators", body };
      }),
    );
  operator
    .command("cancel")
    .description("ends the operator of a Region")
    .argument("<region>", "region id")
    .action((region: string) =>
      order(context, "DELETE", async () => ({ path: `operators/${idOf(region, "region")}` })),
    );
}
