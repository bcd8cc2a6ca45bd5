/** PD's HTTP API for `rutile ctl`: what gRPC has no word for. */
import { errorMessage } from "../base/index.js";
import type { PdClient } from "../pd_client/index.js";
import { type CtlContext, CtlError } from "./ctl_context.js";

export type Method = "GET" | "POST" | "DELETE";

/** Asks the leader of PD; `path` is what follows /pd/api/v1/. Throws CtlError with PD's words. */
export async function askPd(
  pd: PdClient,
  method: Method,
  path: string,
  body?: object,
): Promise<unknown> {
  const members = await pd.getMembers();
  if (!members.ok) throw new CtlError(`PD: ${members.error.message} (${members.error.kind})`);
  const leader = members.value.find((one) => one.isLeader) ?? members.value[0];
  const url = leader?.clientUrls[0];
  if (url === undefined) throw new CtlError("PD tells no client URL");
  let answer: Response;
  let text: string;
  try {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    answer = await fetch(`${url.replace(/\/$/, "")}/pd/api/v1/${path}`, init);
    text = await answer.text();
  } catch (error) {
    throw new CtlError(`PD at ${url}: ${errorMessage(error)}`);
  }
  if (!answer.ok) throw new CtlError(`PD: ${plain(text)}`);
  return JSON.parse(text);
}

/** PD's errors are JSON strings, mostly. */
function plain(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "string" ? parsed : text.trim();
  } catch {
    return text.trim();
  }
}

/** Returns an id that a person gave. */
export function idOf(text: string, what: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CtlError(`not a ${what} id: ${text}`);
}

interface Order {
  readonly path: string;
  readonly body?: object;
}

/** Sends an order and prints PD's word. */
export function order(
  context: CtlContext,
  method: Method,
  make: () => Promise<Order>,
): Promise<void> {
  return context.withPd(async (pd) => {
    const { body, path } = await make();
    const answer = await askPd(pd, method, path, body);
    return [{ ok: true, answer: typeof answer === "string" ? answer : undefined }];
  });
}
