/**
 * One store's apply system on a memory engine, with rounds and engine writes under the test's hand:
 * `round` applies, `written` lets the oldest engine writes end.
 */
import { NULL_METRICS } from "../../src/base/index.js";
import { BATCH_CONFIG_DEFAULT, type BatchConfig, BatchMetrics } from "../../src/batch/index.js";
import { type Engine, openMemoryEngine, WriteBatchBuilder } from "../../src/engine/index.js";
import { type Entry, EntryType, encodeConfChange } from "../../src/raft/index.js";
import { ApplyMetrics, bindApplyMetrics } from "../../src/raftstore/apply/metrics.js";
import {
  type CommandHeader,
  commandHeader,
  confChange,
  encodeAdmin,
  encodeWrites,
  type LoggedAdmin,
} from "../../src/raftstore/cmd_codec.js";
import { ApplySystem } from "../../src/raftstore/fsm/apply.js";
import { initialApplyState, type RaftApplyState } from "../../src/raftstore/local_state.js";
import type {
  ApplyRegistration,
  ApplyRes,
  PeerMsg,
  ProposalDone,
} from "../../src/raftstore/messages.js";
import { PendingCreates } from "../../src/raftstore/pending_create.js";
import type { PeerInfo, RegionInfo } from "../../src/raftstore/region.js";
import type { GenerateRequest } from "../../src/raftstore/snapshot/types.js";
import { FakeClock } from "./fake_clock.js";

export const STORE_ID = 1n;
export const SELF: PeerInfo = { id: 11n, storeId: STORE_ID, role: 0 };

/** A region of three voters, peer 11 on store 1, 12 on 2, 13 on 3. */
export function testRegion(change: Partial<RegionInfo> = {}): RegionInfo {
  return {
    id: 2n,
    startKey: new Uint8Array(0),
    endKey: new Uint8Array(0),
    confVer: 3n,
    version: 4n,
    peers: [SELF, { id: 12n, storeId: 2n, role: 0 }, { id: 13n, storeId: 3n, role: 0 }],
    ...change,
  };
}

/** A write batch representation of puts into CF default, keys with the data prefix added. */
export function putBatch(...pairs: readonly (readonly [string, string])[]): Uint8Array {
  const batch = new WriteBatchBuilder();
  for (const [key, value] of pairs)
    batch.put("default", Buffer.from(`z${key}`), Buffer.from(value));
  return batch.bytes().slice();
}

/** An entry of a write, for the region's epoch as `region` has it. */
export function writeEntry(
  region: RegionInfo,
  at: { readonly index: number; readonly term?: number },
  data: Uint8Array,
): Entry {
  const term = at.term ?? 6;
  const bytes = encodeWrites(commandHeader(region, SELF, term), [data]);
  return normalEntry(at.index, bytes, term);
}

/** An entry of an admin command. */
export function adminEntry(region: RegionInfo, index: number, command: LoggedAdmin): Entry {
  const header: CommandHeader = commandHeader(region, SELF, 6);
  if (command.kind !== "changePeer") return normalEntry(index, encodeAdmin(header, command));
  const data = encodeConfChange(confChange(header, command.changes));
  return { ...normalEntry(index, data), type: EntryType.ConfChangeV2 };
}

/** An entry of Raft itself or with any data. */
export function normalEntry(index: number, data: Uint8Array = new Uint8Array(0), term = 6): Entry {
  return { type: EntryType.Normal, term, index, data, context: new Uint8Array(0) };
}

/** Opens an empty engine. */
export function memoryEngine(): Engine {
  return openMemoryEngine((error) => {
    throw error;
  });
}

type ProposalResult = Parameters<ProposalDone>[0];

export class ApplyHarness {
  readonly engine: Engine;
  readonly system: ApplySystem;
  readonly metrics = new ApplyMetrics();
  readonly creates = new PendingCreates();
  readonly messages: { readonly regionId: number; readonly message: PeerMsg }[] = [];
  readonly generated: GenerateRequest[] = [];
  /** Engine writes that have not ended, and all that were submitted. */
  readonly writes: { readonly bytes: Uint8Array; readonly onDone: () => void }[] = [];
  readonly submitted: Uint8Array[] = [];

  constructor(
    options: { engine?: Engine; batch?: Partial<BatchConfig>; yieldBytes?: number } = {},
  ) {
    const { engine = memoryEngine(), batch, yieldBytes = 32 * 1024 } = options;
    this.engine = engine;
    const config = { ...BATCH_CONFIG_DEFAULT, ...batch };
    this.system = new ApplySystem(
      { batch: config, yieldWriteSizeBytes: yieldBytes },
      {
        storeId: STORE_ID,
        port: {
          engine,
          write: (bytes, sync, onDone) => {
            if (sync) throw new Error("applying does not sync");
            this.submitted.push(bytes.slice());
            this.writes.push({ bytes: bytes.slice(), onDone });
          },
        },
        creates: this.creates,
        snapshots: { generate: (request) => this.generated.push(request) },
        notify: (regionId, message) => this.messages.push({ regionId, message }),
        clock: new FakeClock(),
        runner: { defer: () => {} },
        metrics: this.metrics,
        batchMetrics: new BatchMetrics("apply", NULL_METRICS),
      },
    );
    bindApplyMetrics(NULL_METRICS, this.metrics);
  }

  register(region: RegionInfo, change: Partial<ApplyRegistration> = {}): void {
    const regionId = Number(region.id);
    const self = region.peers.find((peer) => peer.storeId === STORE_ID) as PeerInfo;
    const registration = {
      regionId,
      peerId: Number(self.id),
      region,
      applyState: initialApplyState(),
      appliedTerm: 5,
      ...change,
    };
    this.system.send(regionId, { kind: "registration", registration });
  }

  /** Sends entries; what is committed ends with them unless `commit` says that it ends later. */
  apply(
    regionId: number,
    entries: readonly Entry[],
    proposals: readonly TestProposal[] = [],
    commit: Entry | undefined = entries[entries.length - 1],
  ): void {
    const commitIndex = commit?.index ?? 5;
    const commitTerm = commit?.term ?? 5;
    const task = { regionId, entries, proposals, commitIndex, commitTerm };
    this.system.send(regionId, { kind: "apply", task });
  }

  /** Runs rounds until nothing is ready; returns how many. */
  round(): number {
    let rounds = 0;
    while (this.system.poll()) rounds++;
    return rounds;
  }

  /** Lets up to `count` engine writes end, oldest first. */
  async written(count = Number.POSITIVE_INFINITY): Promise<void> {
    for (let i = 0; i < count && this.writes.length > 0; i++) {
      const { bytes, onDone } = this.writes.shift() as (typeof this.writes)[number];
      await this.engine.writeBytes(bytes, { sync: false });
      onDone();
    }
  }

  /** Applies and writes until nothing is left. */
  async settle(): Promise<void> {
    while (this.round() > 0 || this.writes.length > 0) await this.written();
  }

  /** The results that went to peers, in order. */
  results(): ApplyRes[] {
    return this.messages.flatMap(({ message }) =>
      message.kind === "applyRes" ? [message.result] : [],
    );
  }

  get(key: string): string | undefined {
    const value = this.engine.get("default", Buffer.from(`z${key}`));
    return value === undefined ? undefined : Buffer.from(value).toString();
  }
}

export interface TestProposal {
  readonly index: number;
  readonly term: number;
  readonly done: ProposalDone;
  readonly answers: ProposalResult[];
}

/** A proposal that keeps its answers. */
export function proposal(index: number, term = 6): TestProposal {
  const answers: ProposalResult[] = [];
  return { index, term, answers, done: (result) => answers.push(result) };
}

/** The answers in short: "ok", or the kind of the error. */
export function kinds(proposals: readonly TestProposal[]): string[] {
  return proposals.map(({ answers }) =>
    answers.map((answer) => (answer.ok ? "ok" : answer.error.kind)).join("+"),
  );
}

/** An apply state in short. */
export function showApplyState(state: RaftApplyState | undefined): string {
  if (state === undefined) return "none";
  const { appliedIndex, commitIndex, commitTerm, truncatedIndex, truncatedTerm } = state;
  return `applied=${appliedIndex} commit=${commitIndex}/${commitTerm} truncated=${truncatedIndex}/${truncatedTerm}`;
}
