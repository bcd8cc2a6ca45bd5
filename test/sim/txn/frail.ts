/**
 * Client programs that die or falter in the middle of a commit, as stores see them: some of their
 * requests never come, or come when others have long decided about the transaction. What the program
 * knows of its own commit stays true.
 */
import { err, type Prng } from "../../../src/base/index.js";
import type { SendReply } from "../../../src/client/batch_conn.js";
import type { CommandName } from "../../../src/client/commands.js";
import type { StoreRpc } from "../../../src/client/ports.js";
import type { SimHost } from "../host.js";
import type { Frailty } from "./access.js";
import { pause } from "./frail_steps.js";

const STEPS: ReadonlySet<CommandName> = new Set<CommandName>(["Prewrite", "Commit"]);

/** Returns `rpc` as one frail program on `host` has it. */
export function frailRpc(rpc: StoreRpc, frailty: Frailty, host: SimHost, prng: Prng): StoreRpc {
  const silence = async (timeoutMs: number): Promise<SendReply> => {
    await pause(host, timeoutMs * 1000);
    return err({ kind: "timeout", message: "no answer", sent: true });
  };
  let steps = 0;
  const send: StoreRpc["send"] = async (address, command, request, timeoutMs, signal) => {
    const isStep = STEPS.has(command);
    if (isStep) steps++;
    if (frailty.kind === "dies") {
      if (steps > frailty.requests) return silence(timeoutMs);
    } else {
      if (command === "TxnHeartBeat") return silence(timeoutMs);
      if (isStep && prng.ratio(1, 2)) await pause(host, prng.below(frailty.lateMaxUs));
    }
    return rpc.send(address, command, request, timeoutMs, signal);
  };
  return { send, close: () => rpc.close() };
}
