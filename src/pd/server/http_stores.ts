/** PD's HTTP API: taking stores out and in again, their labels and limits. */
import type { StoreLabel } from "../core/index.js";
import type { LimitKind } from "../schedule/index.js";
import {
  type Answer,
  badId,
  bootstrapped,
  fail,
  type HttpDeps,
  ok,
  parseId,
  type Routes,
  refused,
} from "./http_route.js";

const LABEL = /^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?$/;
const LIMIT_KINDS: readonly LimitKind[] = ["add-peer", "remove-peer"];

async function changeState(
  { cluster }: HttpDeps,
  text: string,
  state: string,
  destroyed: boolean,
): Promise<Answer> {
  const id = parseId(text);
  if (id === undefined) return badId(text);
  if (state === "up") {
    const wrong = await cluster.restoreStore(id);
    return wrong === undefined ? ok("The store's state is updated.") : refused(wrong);
  }
  if (state !== "offline") return fail(400, `invalid state ${state}`);
  const wrong = await cluster.removeStore(id, destroyed);
  return wrong === undefined ? ok("The store is set as Offline.") : refused(wrong);
}

function labelsOf(body: Readonly<Record<string, unknown>>): StoreLabel[] | undefined {
  const labels: StoreLabel[] = [];
  for (const [key, value] of Object.entries(body)) {
    if (!LABEL.test(key) || typeof value !== "string") return undefined;
    if (value !== "" && !LABEL.test(value)) return undefined;
    labels.push({ key, value });
  }
  return labels;
}

function setLimits(
  deps: HttpDeps,
  ids: readonly bigint[],
  body: Readonly<Record<string, unknown>>,
): Answer {
  const { rate, type } = body;
  if (typeof rate !== "number" || !(rate > 0)) return fail(400, "invalid rate");
  const kinds = LIMIT_KINDS.filter((kind) => type === undefined || type === kind);
  if (kinds.length === 0) return fail(400, `unknown limit type ${String(type)}`);
  const { limits } = deps.cluster.coordinator.operators;
  for (const id of ids) for (const kind of kinds) limits.setRate(id, kind, rate);
  return ok("Set store limit successfully.");
}

export const STORE_ROUTES: Routes = bootstrapped({
  "DELETE store/{}": (deps, { args: [id = ""], query }) =>
    changeState(deps, id, "offline", query.has("force")),
  "POST store/{}/state": (deps, { args: [id = ""], query }) =>
    changeState(deps, id, (query.get("state") ?? "").toLowerCase(), query.has("force")),
  "POST store/{}/label": async ({ cluster }, { args: [text = ""], body, query }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const labels = labelsOf(body);
    if (labels === undefined) return fail(400, "invalid label");
    const wrong = await cluster.setStoreLabels(id, labels, query.has("force"));
    return wrong === undefined ? ok("The store's label is updated.") : refused(wrong);
  },
  "POST store/{}/limit": (deps, { args: [text = ""], body }) => {
    const id = parseId(text);
    if (id === undefined) return badId(text);
    const store = deps.cluster.basic.getStore(id);
    if (store === undefined) return fail(404, `[PD:core:ErrStoreNotFound]store ${id} not found`);
    return setLimits(deps, [id], body);
  },
  "POST stores/limit": (deps, { body }) => {
    const ids = deps.cluster.basic.getStores().map(({ meta }) => meta.id);
    return setLimits(deps, ids, body);
  },
  "GET stores/limit": ({ cluster }) => {
    const { limits } = cluster.coordinator.operators;
    const shown = cluster.basic.getStores().map(({ meta }) => [
      meta.id.toString(),
      {
        "add-peer": limits.rate(meta.id, "add-peer"),
        "remove-peer": limits.rate(meta.id, "remove-peer"),
      },
    ]);
    return ok(Object.fromEntries(shown));
  },
  "DELETE stores/remove-tombstone": async ({ cluster }) => {
    const removed = await cluster.removeTombstones();
    return ok(`Remove tombstone successfully: ${removed} stores.`);
  },
});
