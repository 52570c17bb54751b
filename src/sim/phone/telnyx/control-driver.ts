import { BridgeError } from '../../../errors.ts';
import type { CallDriver, DriverContext, DriverEnd, RunningStream } from '../driver.ts';
import type { EndedBy } from '../events.ts';
import type { Replacement, StreamVerb } from '../verbs.ts';
import type { ControlCall } from './control-call.ts';
import { streamVerb } from './control-stream.ts';

/** Does what the bridge commands. */
export class ControlDriver implements CallDriver {
  readonly #leg: ControlCall;
  readonly #ended: Promise<DriverEnd>;
  #context: DriverContext | undefined;
  #end: (end: DriverEnd) => void = () => {};
  #stream: { readonly stop: AbortController; running?: RunningStream | undefined } | undefined;

  constructor(leg: ControlCall) {
    this.#leg = leg;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** What the driver works with; to be said before anything else. */
  attach(context: DriverContext): void {
    this.#context = context;
  }

  get context(): DriverContext {
    if (this.#context === undefined)
      throw new BridgeError('INTERNAL', 'a call is commanded before it is led');
    return this.#context;
  }

  /** A stream is open, or on its way. */
  get isStreaming(): boolean {
    return this.#stream !== undefined;
  }

  async run(): Promise<DriverEnd> {
    const fields = this.#leg.call.options.order?.fields;
    if (fields === undefined) return await Promise.race([this.#announce(), this.#ended]);
    this.startAsOrdered(fields);
    return await this.#ended;
  }

  /** What an order or an answer asks for besides: a stream. */
  startAsOrdered(fields: Readonly<Record<string, unknown>>): void {
    const verb = streamVerb(fields);
    if (verb !== undefined) this.openStream(verb);
  }

  hangUp(by: EndedBy): void {
    this.#stream?.stop.abort();
    // Whoever hangs up on a call that rings for the bridge refuses it.
    const isRefused = by === 'rest' && !this.#leg.call.isAnswered;
    this.#end({ by, outcome: isRefused ? 'rejected' : 'completed' });
  }

  /** The bridge refuses a call that is ringing. */
  reject(outcome: 'busy' | 'rejected'): void {
    this.#end({ by: 'rest', outcome });
  }

  replace(_replacement: Replacement): boolean {
    return false;
  }

  /** Opens a stream without waiting for it. */
  openStream(verb: StreamVerb): void {
    const stream: { readonly stop: AbortController; running?: RunningStream | undefined } = {
      stop: new AbortController(),
    };
    this.#stream = stream;
    const follow = async (): Promise<void> => {
      stream.running = await this.context.openStream(verb, '', stream.stop.signal);
      await stream.running?.ended;
    };
    const forget = (): void => {
      if (this.#stream === stream) this.#stream = undefined;
    };
    follow().then(forget, forget);
  }

  stopStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.stop.abort();
    stream?.running?.stop();
  }

  /** Tells the bridge of the call, at the failover address if need be, and waits for what it commands. */
  async #announce(): Promise<DriverEnd> {
    const { desk, webhookUrl, fallbackUrl, log, codes } = this.context;
    const payload = { json: this.#leg.initiated() };
    try {
      await desk.webhook({ url: webhookUrl, method: 'POST', payload });
    } catch (thrown) {
      if (fallbackUrl === undefined || this.#leg.call.leaving.aborted) throw thrown;
      log.warn(codes['http-failure'], BridgeError.from(thrown).message);
      await desk.webhook({ url: fallbackUrl, method: 'POST', payload });
    }
    return await this.#ended;
  }
}
