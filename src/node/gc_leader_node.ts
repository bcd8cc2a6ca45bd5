/** PD's own GC leader in a process: a client of the cluster that PD serves, made when first needed. */
import { type ErrorCode, errorMessage, TikvError } from "../base/index.js";
import { connectTxnAdmin, type GcLocksResult, type TxnAdmin } from "../client/internal.js";
import type { PdConfig } from "../config/index.js";
import type { PdGc } from "../pd/index.js";
import type { Environment } from "./environment.js";
import { GcLeader } from "./gc_leader.js";

/** PD does not know how its stores lay keys out: the one that was right is tried first. */
const API_VERSIONS = ["V1", "V2"] as const;

/** What stores and keys of another API version look like. */
const OTHER_VERSION: readonly ErrorCode[] = ["RUTILE:Client:Refused", "RUTILE:Client:Protocol"];

class LockResolver {
  private versions: readonly (typeof API_VERSIONS)[number][] = API_VERSIONS;
  private service: TxnAdmin | undefined;
  private closed = false;

  constructor(
    private readonly endpoint: string,
    private readonly env: Environment,
  ) {}

  async resolve(safePoint: bigint): Promise<GcLocksResult> {
    const [first, other] = this.versions;
    try {
      return await this.with(first, safePoint);
    } catch (error) {
      const isOther = error instanceof TikvError && OTHER_VERSION.includes(error.code);
      if (!isOther || other === undefined || first === undefined) throw error;
      try {
        const result = await this.with(other, safePoint);
        this.versions = [other, first];
        return result;
      } catch (second) {
        throw new Error(`${first}: ${errorMessage(error)}; ${other}: ${errorMessage(second)}`);
      }
    }
  }

  /** A client of its own for each round: rounds are minutes apart, and what it knew is old then. */
  private async with(
    version: (typeof API_VERSIONS)[number] | undefined,
    safePoint: bigint,
  ): Promise<GcLocksResult> {
    const logger = this.env.logger.child({ component: "gc leader" });
    const service = await connectTxnAdmin({
      pdEndpoints: [this.endpoint],
      apiVersion: version ?? "V1",
      log: logger,
    });
    this.service = service;
    try {
      if (this.closed) throw new Error("pd stops");
      return await service.resolve(safePoint);
    } finally {
      service.close();
    }
  }

  close(): void {
    this.closed = true;
    this.service?.close();
  }
}

/** Starts the leader, unless the configuration says that there is none. */
export function startGcLeader(
  config: PdConfig,
  pd: { readonly address: string; readonly gc: PdGc },
  env: Environment,
): void {
  if (!config["gc.enable"]) return;
  const resolver = new LockResolver(pd.address, env);
  const leader = new GcLeader(
    { runIntervalMs: config["gc.run-interval"], lifeTimeMs: config["gc.life-time"] },
    {
      pd: pd.gc,
      resolveLocks: (safePoint) => resolver.resolve(safePoint),
      logger: env.logger.child({ component: "gc leader" }),
    },
  );
  leader.start();
  env.shutdown.add("gc leader", async () => {
    resolver.close();
    await leader.stop();
  });
}
