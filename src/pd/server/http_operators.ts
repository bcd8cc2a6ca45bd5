/**
 * PD's HTTP API: operators under way, what became of others and why, operators on request, and why
 * regions that need something get nothing.
 */
import { fromHex } from "../../base/index.js";
import { voters } from "../core/index.js";
import {
  addPeerOperator,
  type Built,
  type FilterContext,
  movePeerOperator,
  moveRegionOperator,
  type Operator,
  removePeerOperator,
  splitRegionOperator,
  stepText,
  transferLeaderOperator,
} from "../schedule/index.js";
import { allRegions } from "./http_regions.js";
import {
  type Answer,
  type Asked,
  badId,
  bootstrapped,
  fail,
  type HttpDeps,
  ok,
  parseId,
  type Routes,
} from "./http_route.js";
import type { Json } from "./json.js";

type Body = Asked["body"];
type Region = Parameters<typeof removePeerOperator>[1];
/** Makes an operator from a request, or says what is wrong with it. */
type Maker = (context: FilterContext, region: Region, body: Body) => Built;

const wrong = (error: string): Built => ({ ok: false, error });

function making(name: string) {
  return { desc: `admin-${name}`, kind: "admin" } as const;
}

/** Returns a maker that needs the store ids under `names` of the body. */
function withStores(
  names: readonly string[],
  make: (context: FilterContext, region: Region, ids: readonly bigint[]) => Built,
): Maker {
  return (context, region, body) => {
    const ids = names.map((name) => parseId(body[name]));
    const missing = ids.indexOf(undefined);
    if (missing >= 0) return wrong(`missing or invalid ${names[missing]}`);
    return make(context, region, ids as bigint[]);
  };
}

function keysOf(body: Body): Uint8Array[] | undefined {
  const keys = body.keys ?? [];
  if (!Array.isArray(keys)) return undefined;
  try {
    return keys.map((key) => fromHex(String(key)));
  } catch {
    return undefined;
  }
}

const MAKERS: Readonly<Record<string, Maker>> = {
  "transfer-leader": withStores(["to_store_id"], (context, region, [to]) =>
    transferLeaderOperator(context, region, to as bigint, making("transfer-leader")),
  ),
  "add-peer": withStores(["store_id"], (context, region, [storeId]) => {
    const peer = { storeId: storeId as bigint, role: "voter" } as const;
    return addPeerOperator(context, region, peer, making("add-peer"));
  }),
  "add-learner": withStores(["store_id"], (context, region, [storeId]) => {
    const peer = { storeId: storeId as bigint, role: "learner" } as const;
    return addPeerOperator(context, region, peer, making("add-learner"));
  }),
  "remove-peer": withStores(["store_id"], (context, region, [storeId]) =>
    removePeerOperator(context, region, storeId as bigint, making("remove-peer")),
  ),
  "transfer-peer": withStores(["from_store_id", "to_store_id"], (context, region, [from, to]) =>
    movePeerOperator(context, region, from as bigint, to as bigint, making("transfer-peer")),
  ),
  "transfer-region": (context, region, body) => {
    const given = Array.isArray(body.to_store_ids) ? body.to_store_ids.map(parseId) : [];
    if (given.length === 0 || given.includes(undefined)) return wrong("invalid to_store_ids");
    const stay = voters(region.meta).some(({ storeId }) => storeId === region.leader?.storeId);
    const leader =
      stay && given.includes(region.leader?.storeId) ? region.leader?.storeId : undefined;
    const name = making("transfer-region");
    return moveRegionOperator(context, region, given as bigint[], leader, name);
  },
  "split-region": (context, region, body) => {
    const keys = keysOf(body);
    if (keys === undefined) return wrong("invalid keys: hex is expected");
    if (body.policy === "usekey" && keys.length === 0) return wrong("no keys are given");
    return splitRegionOperator(context, region, keys, { desc: "admin-split-region" });
  },
};

function add({ cluster }: HttpDeps, { body }: Asked): Answer {
  const { coordinator, basic } = cluster;
  const name = String(body.name ?? "");
  const id = parseId(body.region_id);
  if (id === undefined) return fail(400, "missing region id");
  const region = basic.getRegion(id);
  if (region === undefined) return fail(404, `region ${id} not found`);
  if (name === "scatter-region") {
    const outcome = coordinator.scatterer.scatter(region, String(body.group ?? ""));
    if (!outcome.ok) return fail(500, outcome.reason);
    return ok(outcome.scheduled ? "The operator is created." : "The region is scattered already.");
  }
  const make = Object.hasOwn(MAKERS, name) ? MAKERS[name] : undefined;
  if (make === undefined) return fail(400, `unknown operator ${JSON.stringify(name)}`);
  const built = make(coordinator.operators.context, region, body);
  const problem = built.ok ? coordinator.operators.add(built.value) : built.error;
  if (problem !== undefined) return fail(500, `failed to add operator: ${problem}`);
  return ok("The operator is created.");
}

/** Returns a monotonic time as wall time. */
function timeText({ monotonicMs, nowMs }: HttpDeps, atMs: number): string {
  return new Date(nowMs() - (monotonicMs() - atMs)).toISOString();
}

/** Returns an operator with its state and steps. */
function operatorJson(deps: HttpDeps, operator: Operator): Json {
  const { finishedMs } = operator;
  return {
    region_id: operator.regionId,
    desc: operator.desc,
    brief: operator.brief,
    kind: operator.kinds.join(","),
    status: operator.status,
    reason: operator.reason,
    steps: operator.steps.map(stepText),
    current_step: operator.currentStep,
    region_epoch: { conf_ver: operator.confVer, version: operator.version },
    details: operator.details,
    start_time: timeText(deps, operator.startedMs),
    finish_time: finishedMs === 0 ? undefined : timeText(deps, finishedMs),
    seconds: ((finishedMs === 0 ? deps.monotonicMs() : finishedMs) - operator.startedMs) / 1000,
  };
}

/** As text, as pd-ctl shows it; with ?object=true in parts. */
function shown(deps: HttpDeps, { query }: Asked, operators: readonly Operator[]): Answer {
  if (query.has("object")) return ok(operators.map((one) => operatorJson(deps, one)));
  return ok(
    operators.map((one) => {
      const over = one.finishedMs === 0 ? "" : ` at ${timeText(deps, one.finishedMs)}`;
      const reason = one.reason === "" ? "" : `: ${one.reason}`;
      return `${one} ${one.status}${over}${reason}`;
    }),
  );
}

export const OPERATOR_ROUTES: Routes = bootstrapped({
  "GET operators": (deps, asked) => {
    const kinds = asked.query.getAll("kind");
    const all = deps.cluster.coordinator.operators.all();
    const wanted = all.filter(
      (one) => kinds.length === 0 || one.kinds.some((kind) => kinds.includes(kind)),
    );
    return shown(deps, asked, wanted);
  },
  "POST operators": add,
  "GET operators/records": (deps, asked) => {
    const from = Number(asked.query.get("from") ?? 0);
    if (!Number.isFinite(from)) return fail(400, "invalid from, seconds");
    const fromMs = from * 1000 - (deps.nowMs() - deps.monotonicMs());
    return shown(deps, asked, deps.cluster.coordinator.operators.records.since(fromMs));
  },
  "GET operators/reasons": ({ cluster, monotonicMs }) => {
    const reasons = allRegions(cluster).flatMap(({ meta }) => {
      const why = cluster.coordinator.checkers.reasonFor(meta.id);
      if (why === undefined) return [];
      const { checker, reason, atMs } = why;
      return [{ region_id: meta.id, checker, reason, seconds: (monotonicMs() - atMs) / 1000 }];
    });
    return ok(reasons);
  },
  "GET operators/{}": (deps, { args: [text = ""] }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const { operators } = deps.cluster.coordinator;
    const operator = operators.get(id) ?? operators.finished(id);
    return operator === undefined
      ? fail(404, "operator not found")
      : ok(operatorJson(deps, operator));
  },
  "DELETE operators/{}": ({ cluster }, { args: [text = ""] }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const isCancelled = cluster.coordinator.operators.cancel(id, "cancelled by request");
    return isCancelled ? ok("The pending operator is canceled.") : fail(404, "operator not found");
  },
});
