/**
 * What all `rutile ctl` commands share: the options, the clients, how results and errors are shown. The
 * clients are loaded when a command runs, so that help does not wait for them.
 */
import type { Command } from "commander";
import { errorMessage, TikvError } from "../base/index.js";
import type { ApiVersionName, RawClient } from "../client/index.js";
import type { PdClient } from "../pd_client/index.js";
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
      const { apiVersion, cf, keyspace, pdEndpoints, timeout } = this.options;
      if (!API_VERSIONS.includes(apiVersion)) {
        throw new CtlError(`--api-version must be ${API_VERSIONS.join(", ")}, not ${apiVersion}`);
      }
      const { RawClient } = await import("../client/index.js");
      const client = await RawClient.connect({
        pdEndpoints: pdEndpoints.split(","),
        apiVersion: apiVersion as ApiVersionName,
        keyspace,
        cf,
        timeoutMs: timeout * 1000,
        retryBudgetMs: timeout * 1000,
      });
      try {
        await work(client);
      } finally {
        client.close();
      }
    });
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
