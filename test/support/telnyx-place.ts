import Telnyx from 'telnyx';
import { TelnyxWebhook } from 'telnyx/lib/webhooks';
import { expect } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Callee } from '../../src/sim/phone/callee.ts';
import type { DialOrder } from '../../src/sim/phone/carrier-sim.ts';
import { telnyxPublicKey } from '../../src/sim/phone/telnyx/signature.ts';
import {
  type CallOptions,
  type Exchange,
  type PhoneFaults,
  type SimulatedCall,
  startExchange,
} from '../../src/sim/phone.ts';
import { HandBridge, type MediaEnd, type Message, type SeenRequest, until } from './hand-bridge.ts';
import { VirtualClock } from './virtual-clock.ts';

export const KEY = 'KEY_of_the_tests';
export const PUBLIC_KEY = telnyxPublicKey(KEY);
export const ACCOUNT = '61bf923e-5e4d-4595-a110-56190ea18a1b';
export const CONNECTION = '1494404757140276705';
export const OURS = '+14155550101';
export const THEIRS = '+14155550199';

/** An event of Call Control as the bridge received it. */
export interface SeenEvent {
  readonly type: string;
  readonly id: string;
  readonly payload: Message;
  readonly request: SeenRequest;
}

export interface PlaceOptions {
  readonly callee?: Callee | ((order: DialOrder) => Callee);
  readonly defaults?: Partial<CallOptions>;
  readonly rest?: PhoneFaults['rest'];
}

/** A bridge by hand, an exchange with the face of Telnyx, and the published client. */
export class Place implements AsyncDisposable {
  readonly bridge = new HandBridge();
  readonly clock = new VirtualClock();
  readonly #openedMs = Date.now();
  #exchange: Exchange | undefined;
  #client: Telnyx | undefined;

  static async open(options: PlaceOptions = {}): Promise<Place> {
    const place = new Place();
    await place.bridge.listen();
    place.bridge.answer = ({ target }) =>
      target.startsWith('/voice') ? place.connect() : { body: '', type: 'text/plain' };
    const { callee } = options;
    // The published check of signatures looks at the time of day.
    const clock: Clock = {
      now: () => place.clock.now(),
      epoch: () => place.#openedMs + place.clock.now(),
      after: (ms, run) => place.clock.after(ms, run),
    };
    place.#exchange = await startExchange({
      carrier: 'telnyx',
      clock,
      defaults: { authToken: KEY, webhookUrl: place.at('/events/telnyx'), ...options.defaults },
      ...(callee === undefined ? {} : { callee: typeof callee === 'function' ? callee : () => callee }),
      ...(options.rest === undefined ? {} : { restFaults: options.rest }),
    });
    return place;
  }

  get exchange(): Exchange {
    if (this.#exchange === undefined) throw new Error('the place is not open');
    return this.#exchange;
  }

  get client(): Telnyx {
    this.#client ??= new Telnyx({
      apiKey: KEY,
      publicKey: PUBLIC_KEY,
      baseURL: `${this.exchange.restBaseUrl}/v2`,
      maxRetries: 0,
    });
    return this.#client;
  }

  get stream(): string {
    return `ws://${this.bridge.host}/media/tok`;
  }

  at(path: string): string {
    return this.bridge.url + path;
  }

  /** A document that connects the media socket as the bridge should. */
  connect(after = '', attributes = 'bidirectionalMode="rtp" enableReconnect="false"') {
    const text = `<Response><Connect><Stream url="${this.stream}" ${attributes}/></Connect>${after}</Response>`;
    return { body: text };
  }

  /** Somebody calls a number of a TeXML application. */
  callTexml(options: Partial<CallOptions> = {}): SimulatedCall {
    return this.exchange.placeCall({ webhookUrl: this.at('/voice/telnyx'), ...options });
  }

  /** Somebody calls a number of a Call Control application; it is ringing, and the bridge knows. */
  async ringing(options: Partial<CallOptions> = {}): Promise<SimulatedCall> {
    const call = this.exchange.placeCall({ webhookUrl: this.at('/events/telnyx'), ...options });
    await call.next('webhook');
    return call;
  }

  /** The same, answered. */
  async answered(options: Partial<CallOptions> = {}): Promise<SimulatedCall> {
    const call = await this.ringing(options);
    await this.client.calls.actions.answer(call.callId, {});
    await call.answered;
    return call;
  }

  /** A call with a running stream. */
  async streaming(
    options: Partial<CallOptions> = {},
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly call: SimulatedCall; readonly media: MediaEnd }> {
    const call = await this.answered(options);
    const connected = this.bridge.media();
    await this.client.calls.actions.startStreaming(call.callId, {
      stream_url: this.stream,
      stream_bidirectional_mode: 'rtp',
      stream_bidirectional_codec: 'PCMU',
      ...more,
    });
    const media = await connected;
    await call.streaming;
    await media.count('start', 1);
    return { call, media };
  }

  /** Every event so far, or those of one leg. */
  events(controlId?: string): readonly SeenEvent[] {
    const all = this.bridge.requests
      .filter((request) => request.headers['content-type'] === 'application/json')
      .map((request) => seenEvent(request));
    return controlId === undefined
      ? all
      : all.filter(({ payload }) => payload['call_control_id'] === controlId);
  }

  /** The types of the events so far. */
  types(controlId?: string): readonly string[] {
    return this.events(controlId).map(({ type }) => type);
  }

  /** The first event of a type, of one leg or of any; waits for it. */
  async event(type: string, controlId?: string): Promise<SeenEvent> {
    const find = (): SeenEvent | undefined => this.events(controlId).find((event) => event.type === type);
    await until(() => find() !== undefined);
    const found = find();
    if (found === undefined) throw new Error(`no event ${type}`);
    return found;
  }

  /** Lets time pass when somebody waits for it. */
  async pass(ms: number): Promise<void> {
    await until(() => this.clock.pending > 0);
    this.clock.advance(ms);
  }

  requestsTo(path: string): readonly SeenRequest[] {
    return this.bridge.requests.filter(({ target }) => target.split('?')[0] === path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exchange?.[Symbol.asyncDispose]();
    await this.bridge[Symbol.asyncDispose]();
  }
}

/** Whether the published check takes the signature. */
export async function isSigned(request: SeenRequest, key = PUBLIC_KEY): Promise<boolean> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(
      (header): header is [string, string] => typeof header[1] === 'string',
    ),
  );
  try {
    await new TelnyxWebhook(key).verify(request.body, headers);
    return true;
  } catch {
    return false;
  }
}

/** What a refused request of the published client says. */
export async function refusal(request: Promise<unknown>): Promise<{ status: unknown; codes: unknown[] }> {
  try {
    await request;
  } catch (thrown) {
    const { status, error } = thrown as { status: unknown; error: { errors: { code: string }[] } };
    return { status, codes: error.errors.map(({ code }) => code) };
  }
  return expect.unreachable('the request was served');
}

/** Resolves when the phone has read everything that was sent on this socket. */
export function read(media: MediaEnd): Promise<void> {
  return new Promise((resolve) => {
    media.socket.once('pong', () => resolve());
    media.socket.ping();
  });
}

/** Base64 of a text, as `client_state` wants it. */
export const state = (text: string): string => Buffer.from(text).toString('base64');

function seenEvent(request: SeenRequest): SeenEvent {
  const { data } = JSON.parse(request.body) as {
    data: { event_type: string; id: string; payload: Message };
  };
  return { type: data.event_type, id: data.id, payload: data.payload, request };
}
