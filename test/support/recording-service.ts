import { systemClock } from '../../src/clock.ts';
import { createLog } from '../../src/log.ts';
import { Ear } from '../../src/recording/ear.ts';
import { MemorySink } from '../../src/recording/memory-sink.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import type { StoredCall } from '../../src/recording/stored-call.ts';
import { systemNetwork } from '../../src/wire.ts';
import { Service, type ServiceOptions, type Style } from './carrier-styles.ts';

/** A service with one carrier that records every call into memory. */
export class RecordingService implements AsyncDisposable {
  readonly on: Service;
  readonly #recorder: Recorder;
  readonly #sinks: MemorySink[];

  private constructor(on: Service, recorder: Recorder, sinks: MemorySink[]) {
    this.on = on;
    this.#recorder = recorder;
    this.#sinks = sinks;
  }

  static async start(style: Style, options: ServiceOptions = {}): Promise<RecordingService> {
    const sinks: MemorySink[] = [];
    const settings: Record<string, string> = {};
    const recorder = new Recorder({
      clock: systemClock,
      network: systemNetwork,
      log: createLog('silent'),
      decide: () => ({}),
      open: (file) => {
        const sink = new MemorySink(file);
        sinks.push(sink);
        return sink;
      },
      beside: (sink) => {
        const ear = new Ear({ stereo: (format, bytes) => sink.stereo(format, bytes) });
        return { ear };
      },
      origin: { how: 'simulated' },
      settings,
      leadMs: 1000,
    });
    const tapes = { tapes: recorder, fetch: recorder.tapFetch() };
    const on = await Service.start(style, { ...options, tapes });
    const { restBaseUrl } = on.exchange;
    const env = { ...style.env('[secret]', restBaseUrl ?? ''), ...options.env, PUBLIC_URL: on.url };
    for (const [name, value] of Object.entries(env)) if (value !== undefined) settings[name] = value;
    return new RecordingService(on, recorder, sinks);
  }

  /** What was recorded of the first call. Ends everything. */
  async stored(): Promise<StoredCall> {
    await this.on[Symbol.asyncDispose]();
    await this.#recorder.close();
    const [first] = this.#sinks;
    if (first === undefined) throw new Error('nothing was recorded');
    return first.stored();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.on[Symbol.asyncDispose]();
  }
}
