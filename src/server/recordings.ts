import type { AgentsFile } from '../agents-file.ts';
import { callKey } from '../call-key.ts';
import type { CarrierName, IncomingCall } from '../carrier.ts';
import type { Fetch } from '../carrier-rest.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { packageVersion } from '../package-file.ts';
import { Ear } from '../recording/ear.ts';
import { type Beside, Recorder, type RecordingTerms } from '../recording/recorder.ts';
import { redactingSink } from '../recording/redact.ts';
import type { CallSink } from '../recording/sink.ts';
import { RecordingStore } from '../recording/store.ts';
import { transcribingSink } from '../recording/transcript-file.ts';
import { type BridgeRecording, bridgeRecords } from '../recording-terms.ts';
import type { CallTerms } from '../session-manager.ts';
import type { Tapes } from '../tape.ts';
import { systemNetwork } from '../wire.ts';

export interface RecordingsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly publicUrl: () => string;
  /** See `CallFile`. */
  readonly leadMs: number;
  /** Calls are those of the simulated phone, as no carrier is configured. */
  readonly simulated: boolean;
  /** Of the carriers; default: the platform's. */
  readonly fetch: Fetch | undefined;
  /** Secrets beside those of the configuration. */
  readonly secrets: readonly (string | undefined)[];
}

interface Wanted extends RecordingTerms, BridgeRecording {}

/**
 * The recordings of a service: off until somebody wants one. Nothing is written, and no folder is made, before `prepare`;
 * nothing is even looked at before `expect` or `prepare`.
 */
export class Recordings implements Tapes {
  readonly #options: RecordingsOptions;
  readonly #recorder: Recorder<Wanted>;
  readonly fetch: Fetch;
  /** By key of the call, from its beginning until somebody has asked. */
  readonly #names = new Map<string, string>();
  #store: RecordingStore | undefined;
  #opening: Promise<void> | undefined;
  #isExpected = false;
  #closed = false;
  /** The name that the recording was given which is about to begin. */
  #begun: string | undefined;

  constructor(options: RecordingsOptions) {
    const { config, clock, log, metrics, publicUrl, leadMs, simulated, secrets } = options;
    this.#options = options;
    this.#recorder = new Recorder<Wanted>({
      clock,
      network: systemNetwork,
      log,
      decide: (_call, { recording }) => (this.#store === undefined ? undefined : recording),
      open: (file, { redact }) => {
        const sink = this.#store?.begin(file);
        if (sink === undefined) return undefined;
        const written = transcribingSink(sink);
        return redact === undefined ? written : redactingSink(written, redact);
      },
      beside: (sink) => listening(sink),
      origin: { how: simulated ? 'simulated' : 'recorded', by: `patchcord ${packageVersion()}` },
      get settings() {
        return { ...config.given, PUBLIC_URL: publicUrl() };
      },
      leadMs,
      secrets: [...config.secrets, ...secrets.filter((secret) => secret !== undefined)],
    });
    this.fetch = this.#recorder.tapFetch(options.fetch);
    metrics.watchRecordings(() => this.#store?.running ?? 0);
  }

  /** A file of agents is about to be used. Rejects with BAD_CONFIG when its agents want recordings that there cannot be. */
  async onFile({ agents, webhooks }: AgentsFile): Promise<void> {
    const all = [...agents.values()];
    // Whoever is asked about a call may want it to be recorded, when its first webhook has come already.
    if (webhooks.start !== undefined || all.some(({ startWebhook }) => startWebhook)) this.#isExpected = true;
    if (all.some(({ recording }) => bridgeRecords(recording?.by))) await this.prepare();
  }

  /** Calls are about to be recorded. Rejects with BAD_CONFIG when the folder cannot be written. */
  async prepare(): Promise<void> {
    // After a failure it is tried anew: somebody may have mended the folder.
    this.#opening ??= this.#open().catch((thrown: unknown) => {
      this.#opening = undefined;
      throw thrown;
    });
    await this.#opening;
  }

  /** The folder of a call that has just begun; undefined: it is not recorded. To be asked once. */
  takeFolder(carrier: CarrierName, callId: string): string | undefined {
    const key = callKey(carrier, callId);
    const name = this.#names.get(key);
    this.#names.delete(key);
    return name;
  }

  webhook(...request: Parameters<Tapes['webhook']>): ReturnType<Tapes['webhook']> {
    return this.#isExpected ? this.#recorder.webhook(...request) : undefined;
  }

  begin(
    carrier: Parameters<Tapes['begin']>[0],
    call: IncomingCall,
    terms: CallTerms,
  ): ReturnType<Tapes['begin']> {
    const { log } = this.#options;
    const { callId } = call;
    if (terms.recording !== undefined && this.#store === undefined)
      log.error({ callId }, 'a call is not recorded: there is no folder for it');
    this.#begun = undefined;
    const tape = this.#recorder.begin(carrier, call, terms);
    const name = this.#begun;
    if (tape === undefined || name === undefined) return tape;
    this.#names.set(callKey(carrier.name, callId), name);
    log.info({ callId, recording: name }, 'a recording has begun');
    return tape;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#recorder.close();
    await this.#opening?.catch(() => undefined);
    await this.#store?.close();
  }

  async #open(): Promise<void> {
    const { config, clock, log, metrics } = this.#options;
    const { folder, maxAgeMs, maxBytes, minFreeBytes } = config.recordings;
    const store = await RecordingStore.open({
      folder,
      rules: { maxAgeMs, maxBytes },
      minFreeBytes,
      clock,
      log,
      news: {
        begun: (name) => {
          this.#begun = name;
        },
        wrote: (bytes) => metrics.recordingWrote(bytes),
        over: (why, kept, name) => {
          metrics.recordingOver(why ?? 'complete');
          log.info({ recording: name, outcome: why ?? 'complete', kept }, 'a recording is over');
        },
        recovered: (count) => {
          for (let i = 0; i < count; i++) metrics.recordingOver('process-died');
        },
        removed: ({ why }) => metrics.recordingRemoved(why),
      },
    });
    if (this.#closed) await store.close();
    else this.#store = store;
    this.#isExpected = true;
  }
}

/** A file to listen to. */
function listening(sink: CallSink): Beside {
  const ear = new Ear({ stereo: (format, bytes) => sink.stereo(format, bytes) });
  let last = 0;
  return {
    ear,
    event(_event, now) {
      last = now;
    },
    finish: () => ear.close(last),
  };
}
