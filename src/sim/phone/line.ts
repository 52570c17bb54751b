import { type Addresses, hostOf } from './addresses.ts';
import type { CarrierDesk } from './carrier-desk.ts';
import type { CarrierCall, StreamPlan } from './carrier-sim.ts';
import type { RunningStream } from './driver.ts';
import type { StreamEnd } from './events.ts';
import { type Heard, Listener, type ListenTerms } from './listener.ts';
import { pause } from './pause.ts';
import { MediaStream, type StreamContext } from './stream.ts';
import type { StreamVerb } from './verbs.ts';

/** What all streams of one call share. */
export interface LineSetup extends Omit<StreamContext, 'started' | 'ahead' | 'ended'> {
  readonly addresses: Addresses;
  readonly desk: CarrierDesk;
  readonly carrier: Pick<CarrierCall, 'planStream'>;
  hangUp(): void;
  /** A `start` was sent. */
  started(stream: MediaStream): void;
}

/** The streams of one call, one after the other, and what the carrier reports about them. */
export class Line {
  readonly streams: MediaStream[] = [];
  /** Of every socket, the ones that were opened again included. */
  readonly ends: StreamEnd[] = [];
  readonly #setup: LineSetup;
  #listener: Listener | undefined;

  constructor(setup: LineSetup) {
    this.#setup = setup;
  }

  /** Of the latest stream that was to be opened. */
  streamId: string | undefined;

  /** Takes a message of the caller. */
  listen(terms: ListenTerms, signal: AbortSignal): Promise<Heard> {
    this.#listener = new Listener(terms, this.#setup, signal);
    return this.#listener.heard;
  }

  /** The caller presses a key while a message is taken: whether it was its end; undefined when none is taken. */
  pressInMessage(key: string): boolean | undefined {
    return this.#listener === undefined || this.#listener.isOver ? undefined : this.#listener.press(key);
  }

  /** Opens a stream; undefined when `signal` aborted before there was one. */
  async open(verb: StreamVerb, baseUrl: string, signal: AbortSignal): Promise<RunningStream | undefined> {
    const { clock, faults } = this.#setup;
    const plan = this.#plan(verb, baseUrl);
    if (plan.failure !== undefined) return this.#unopened(plan, verb, baseUrl, plan.failure);
    await pause(clock, faults.upgradeDelayMs, signal);
    if (faults.hangUpBeforeUpgrade) this.#setup.hangUp();
    if (signal.aborted) return undefined;
    const first = this.#start(plan, verb, baseUrl);
    return plan.reopen.times === 0 ? first : this.#reopening(first, plan, verb, baseUrl, signal);
  }

  #plan(verb: StreamVerb, baseUrl: string): StreamPlan {
    const plan = this.#setup.carrier.planStream(verb, baseUrl);
    this.streamId = plan.streamId;
    this.#setup.log.add({ type: 'stream-opening', url: plan.url, streamId: plan.streamId });
    return plan;
  }

  #start(plan: StreamPlan, verb: StreamVerb, baseUrl: string): MediaStream {
    const { addresses, desk } = this.#setup;
    const stream: MediaStream = new MediaStream(
      { plan, socketUrl: addresses.reach(plan.url), host: hostOf(plan.url) },
      {
        ...this.#setup,
        started: () => {
          desk.tell({ type: 'stream-started', plan, verb, baseUrl });
          this.#setup.started(stream);
        },
        ahead: (aheadMs) => desk.tell({ type: 'stream-ahead', plan, verb, baseUrl, aheadMs }),
        ended: (end) => this.#onEnd(plan, verb, baseUrl, end),
      },
    );
    this.streams.push(stream);
    return stream;
  }

  #onEnd(plan: StreamPlan, verb: StreamVerb, baseUrl: string, end: StreamEnd): void {
    const { log, desk } = this.#setup;
    this.ends.push(end);
    if (end.how === 'failed') log.warn(end.errorCode, end.text);
    desk.tell({ type: 'stream-ended', plan, verb, baseUrl, end });
  }

  #unopened(
    plan: StreamPlan,
    verb: StreamVerb,
    baseUrl: string,
    [errorCode, text]: readonly [string, string],
  ): RunningStream {
    const end: StreamEnd = { how: 'failed', errorCode, text, started: false };
    this.#onEnd(plan, verb, baseUrl, end);
    return { ended: Promise.resolve(end), stop: () => {} };
  }

  /** Each try has a plan of its own: another stream id, a fresh nonce. */
  #reopening(
    first: MediaStream,
    { reopen }: StreamPlan,
    verb: StreamVerb,
    baseUrl: string,
    signal: AbortSignal,
  ): RunningStream {
    let current = first;
    const stopping = new AbortController();
    const stop = (): void => {
      stopping.abort();
      current.stop();
    };
    signal.addEventListener('abort', stop, { once: true });
    const follow = async (): Promise<StreamEnd> => {
      let end = await current.ended;
      for (let left = reopen.times; left > 0 && end.how === 'failed'; left--) {
        await pause(this.#setup.clock, reopen.delayMs, stopping.signal);
        if (stopping.signal.aborted) break;
        current = this.#start(this.#plan(verb, baseUrl), verb, baseUrl);
        end = await current.ended;
      }
      signal.removeEventListener('abort', stop);
      return end;
    };
    return { ended: follow(), stop };
  }
}
