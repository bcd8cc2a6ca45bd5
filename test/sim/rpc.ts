/**
 * Calls over the simulated network: a request that may get lost, work on the other side, an answer
 * that may get lost. The caller learns of silence after a timeout; what it asked for may have
 * happened.
 */
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";

export interface Call<T> {
  readonly from: SimHost;
  readonly to: SimHost;
  readonly kind: string;
  /** For the trace. */
  readonly text: string;
  readonly timeoutUs: number;
  /** Runs in a turn of the target; calls `answer` at most once, at any time. */
  readonly work: (answer: (result: T) => void) => void;
  /** Runs in a turn of the caller, once; undefined: no answer in time. */
  readonly done: (result: T | undefined) => void;
}

/** Makes a call. */
export function callOver<T>(network: SimNetwork, call: Call<T>): void {
  const { from, to, kind, text } = call;
  let isOver = false;
  const end = (result: T | undefined): void => {
    if (isOver) return;
    isOver = true;
    timeout.cancel();
    call.done(result);
  };
  const timeout = from.afterUs(call.timeoutUs, () => end(undefined));
  let isTaken = false;
  const takeOnce = (): void => {
    // A connection delivers a request once.
    if (isTaken) return;
    isTaken = true;
    to.turn(() =>
      call.work((result) => {
        network.send(
          { from: to.name, to: from.name, kind: `${kind}!`, bytes: "", atUs: to.localUs },
          () => from.turn(() => end(result)),
        );
      }),
    );
  };
  network.send({ from: from.name, to: to.name, kind, bytes: text, atUs: from.localUs }, takeOnce);
}
