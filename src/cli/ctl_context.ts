/**
 * What all `rutile ctl` commands share: the options, the clients, how results and errors are shown. The
 * clients are loaded when a command runs, so that help does not wait for them.
 */
import type { Command } from "commander";
import { errorMessage, TikvError } from "../base/index.js";
import type { ApiVersionName, RawClient } from "../client/index.js";
import type { TxnAdmin } from "../client/internal.js";
import type { PdClient, PdReply } from "../pd_client/index.js";
import { type CtlIo, json, type Row, table } from "./ctl_output.js";

export interface CtlOptions {
  readonly pdEndpoints: string;
  readonly apiVersion: string;
  readonly keyspace: string;
  readonly cf: string;
  readonly timeout: number;
  readonly json?: boolean;
  readonly hex?: boolean;
}

/** A mistake of the caller, or something that is not there; shown without a code. */
export class CtlError extends Error {}

/** Returns what PD answered; throws CtlError with its words. */
export function mustPd<T>(reply: PdReply<T>): T {
  if (reply.ok) return reply.value;
  throw new CtlError(`PD: ${reply.error.message} (${reply.error.kind})`);
}

/** Returns a timestamp that a person gave. */
export function timestampOf(text: string): bigint {
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  throw new CtlError(`not a timestamp: ${text}`);
}

/** Below them a timestamp is physical milliseconds. */
export const LOGICAL_BITS = 18n;

/** Returns the time of a timestamp in ISO 8601; undefined for 0 and for none. */
export function timeOf(ts: bigint): string | undefined {
  const date = new Date(Number(ts >> LOGICAL_BITS));
  return ts === 0n || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

const API_VERSIONS: readonly string[] = ["V1", "V1TTL", "V2"];

export class CtlContext {
  readonly #ctl: Command;
  readonly #io: CtlIo;

  constructor(ctl: Command, io: CtlIo) {
    this.#ctl = ctl;
    this.#io = io;
  }

  get options(): CtlOptions {
    return this.#ctl.opts<CtlOptions>();
  }

  /** Runs `work` with a client of PD and prints its rows. */
  withPd(work: (pd: PdClient) => Promise<readonly Row[]>): Promise<void> {
    return this.#guard(async () => {
      const { PdClient } = await import("../pd_client/index.js");
      const { pdEndpoints, timeout } = this.options;
      const pd = new PdClient({
        endpoints: pdEndpoints.split(","),
        requestTimeoutMs: timeout * 1000,
      });
      try {
        this.print(await work(pd));
      } finally {
        pd.close();
      }
    });
  }

  /** Runs `work` with a RawKV client. */
  withRaw(work: (client: RawClient) => Promise<void>): Promise<void> {
    return this.#guard(async () => {
      const { RawClient } = await import("../client/index.js");
      const client = await RawClient.connect({ ...this.#clientOptions(), cf: this.options.cf });
      try {
        await work(client);
      } finally {
        client.close();
      }
    });
  }

  /** Runs `work` with a client for transactions, and a timestamp of now. */
  withTxn(work: (admin: TxnAdmin, now: bigint) => Promise<void>): Promise<void> {
    return this.#guard(async () => {
      const { connectTxnAdmin } = await import("../client/internal.js");
      const admin = await connectTxnAdmin(this.#clientOptions());
      try {
        await work(admin, await admin.timestamp());
      } finally {
        admin.close();
      }
    });
  }

  #clientOptions() {
    const { apiVersion, keyspace, pdEndpoints, timeout } = this.options;
    if (!API_VERSIONS.includes(apiVersion)) {
      throw new CtlError(`--api-version must be ${API_VERSIONS.join(", ")}, not ${apiVersion}`);
    }
    return {
      pdEndpoints: pdEndpoints.split(","),
      apiVersion: apiVersion as ApiVersionName,
      keyspace,
      timeoutMs: timeout * 1000,
      retryBudgetMs: timeout * 1000,
    };
  }

  /** Prints rows as a table, or as JSON. */
  print(rows: readonly Row[]): void {
    this.#io.out(this.options.json === true ? json(rows) : table(rows));
  }

  /** Prints one result: `text` for people, `value` as JSON. */
  printOne(text: string, value: unknown): void {
    this.#io.out(this.options.json === true ? json(value) : text);
  }

  /** Makes the command exit with 1 without an error line; for "not found". */
  missing(text: string, value: unknown): void {
    if (this.options.json === true) this.#io.out(json(value));
    else this.#io.error(text);
    this.#io.setExitCode(1);
  }

  /** Prints an error on one line and makes the command exit with 1. */
  fail(error: unknown): void {
    const code = error instanceof TikvError ? error.code : undefined;
    const message = errorMessage(error);
    if (this.options.json === true) this.#io.error(json({ error: { code, message } }));
    else this.#io.error(`error: ${message}${code === undefined ? "" : ` [${code}]`}`);
    this.#io.setExitCode(1);
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.fail(error);
    }
  }
}
