import { createRequire } from 'node:module';
import plivo from 'plivo';
import type { CallOptions } from '../../src/sim/phone/call-terms.ts';
import type { ExchangeOptions } from '../../src/sim/phone/exchange.ts';
import { type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import {
  HandBridge,
  type MediaEnd,
  type Message,
  nextTurn,
  type SeenRequest,
  until,
  xml,
} from './hand-bridge.ts';
import { VirtualClock } from './virtual-clock.ts';

export const MA = 'MAMZGYMTK1MJLKNTE0ZD';
export const TOKEN = 'MjE4ZjVhN2I5ZDJjNGU2ZjgwMTIzNDU2Nzg5YWJj';
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const MULAW = 'bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000"';
export const EPOCH = Date.UTC(2026, 0, 2, 3, 4, 5);

type Answers = Readonly<Record<string, string>>;

/** A bridge that answers `/voice` with the verbs, and other paths with those of `more`. */
export async function atPlivo(verbs = '', more: Answers = {}, options: Partial<ExchangeOptions> = {}) {
  const bridge = await new HandBridge().listen();
  const clock = new VirtualClock();
  const defaults = { accountSid: MA, authToken: TOKEN, ...options.defaults };
  const exchange = await startExchange({ clock, carrier: 'plivo', ...options, defaults });
  const answers: Record<string, string> = { '/voice': verbs, ...more };
  bridge.answer = ({ target }) => xml(answers[target.split('?')[0] ?? ''] ?? '');
  return {
    bridge,
    clock,
    exchange,
    answers,
    stream: (attributes = MULAW, path = '/media/tok') =>
      `<Stream ${attributes}>ws://${bridge.host}${path}</Stream>`,
    told: (path: string) => bridge.requests.filter(({ target }) => target.split('?')[0] === path),
    place: (call: Partial<CallOptions> = {}): SimulatedCall =>
      exchange.placeCall({ webhookUrl: `${bridge.url}/voice`, ...call }),
    /** The published package, whose requests go to the exchange and not to the one host that it knows. */
    async sdk<T>(way: (client: plivo.Client) => Promise<T>, token = TOKEN): Promise<T> {
      const axios = plivoAxios();
      const { adapter } = axios.defaults;
      axios.defaults.adapter = (config) => throughFetch(config, exchange.restBaseUrl ?? '');
      try {
        return await way(new plivo.Client(MA, token));
      } finally {
        axios.defaults.adapter = adapter;
      }
    },
    async rest(method: string, path: string, body?: unknown, token = TOKEN) {
      const response = await fetch(`${exchange.restBaseUrl}/v1/Account/${MA}/${path}`, {
        method,
        headers: { authorization: `Basic ${Buffer.from(`${MA}:${token}`).toString('base64')}` },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        text,
        body: text.startsWith('{') ? (JSON.parse(text) as Message) : {},
      };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await exchange[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
}

interface AxiosConfig {
  readonly url: string;
  readonly method: string;
  readonly data?: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

function plivoAxios() {
  const fromHere = createRequire(import.meta.url);
  return createRequire(fromHere.resolve('plivo'))('axios') as {
    defaults: { adapter: ((config: AxiosConfig) => Promise<unknown>) | undefined };
  };
}

async function throughFetch(config: AxiosConfig, baseUrl: string): Promise<unknown> {
  const { url, method, data, headers } = config;
  const response = await fetch(url.replace('https://api.plivo.com', baseUrl), {
    method: method.toUpperCase(),
    headers: { authorization: String(headers['Authorization']) },
    ...(data === undefined ? {} : { body: data }),
  });
  const text = await response.text();
  const { status } = response;
  const answer = { status, statusText: '', data: text === '' ? '' : JSON.parse(text), headers: {}, config };
  if (response.ok) return answer;
  throw Object.assign(new Error(`Request failed with status code ${status}`), { config, response: answer });
}

export type Place = Awaited<ReturnType<typeof atPlivo>>;

/** A call whose stream runs. */
export async function onTheLine(attributes = MULAW, call: Partial<CallOptions> = {}, after = '') {
  const place = await atPlivo();
  place.answers['/voice'] = place.stream(attributes) + after;
  const connected = place.bridge.media();
  const placed = place.place(call);
  const media = await connected;
  await placed.streaming;
  await media.count('start', 1);
  return { ...place, call: placed, media, [Symbol.asyncDispose]: place[Symbol.asyncDispose] };
}

export function say(media: MediaEnd, event: string, rest: Message = {}): void {
  media.socket.send(JSON.stringify({ event, ...rest }));
}

export function play(media: MediaEnd, ms: number, change: Message = {}): void {
  const payload = Buffer.alloc(ms * 8, 0x10).toString('base64');
  say(media, 'playAudio', { media: { contentType: 'audio/x-mulaw', sampleRate: 8000, payload, ...change } });
}

/** What the start of a stream said. */
export function startOf(media: MediaEnd): Message {
  return (media.of('start')[0]?.['start'] ?? {}) as Message;
}

export function mark(media: MediaEnd, name: string): void {
  say(media, 'checkpoint', { streamId: startOf(media)['streamId'], name });
}

/** Resolves when the phone has read everything that was sent on this socket. */
export function read(media: MediaEnd): Promise<void> {
  return new Promise((resolve) => {
    media.socket.once('pong', () => resolve());
    media.socket.ping();
  });
}

/** Moves the clock when something waits for it. */
export async function pass(place: Place, ms: number): Promise<void> {
  await until(() => place.clock.pending > 0);
  place.clock.advance(ms);
}

/** Lets the clock run in small steps, so that what is begun at one time can end at another. */
export async function passUntil(place: Place, met: () => boolean, stepMs = 500): Promise<void> {
  for (let step = 0; !met(); step++) {
    if (step > 20_000) throw new Error('nothing came of it');
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    if (!met()) place.clock.advance(stepMs);
  }
}

export function isSigned(
  request: SeenRequest | undefined,
  origin: string,
  header = 'x-plivo-signature-v3',
  token = TOKEN,
): boolean {
  const { method = '', target = '', headers = {}, form = {} } = request ?? {};
  const signature = headers[header];
  if (typeof signature !== 'string') return false;
  const nonce = String(headers['x-plivo-signature-v3-nonce']);
  const verb = method === 'GET' ? 'GET' : 'POST';
  return Boolean(plivo.validateV3Signature(verb, origin + target, nonce, token, signature, { ...form }));
}

export const events = (requests: readonly SeenRequest[]) => requests.map(({ form }) => form['Event']);
