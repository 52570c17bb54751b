import { parseArgs } from 'node:util';
import { type AudioFormat, bytesPerMs, MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { systemClock } from '../src/clock.ts';
import type { ConnectRequest, ProviderSession, RealtimeProvider } from '../src/provider.ts';
import { createGeminiProvider } from '../src/providers/gemini.ts';
import { createNovaProvider } from '../src/providers/nova.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { createOpenAiLiveProvider } from '../src/providers/openai-live.ts';
import type {
  EventStream,
  Network,
  StreamChunk,
  StreamListener,
  WireListener,
  WireSocket,
} from '../src/wire.ts';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';

/**
 * What a session with a provider costs for 20 ms of the caller's audio, and for a piece of the agent's speech, without a
 * network: `npm run bench -- providers`. Beside it, in the same run, what whoever writes such a client first would do:
 * `JSON.stringify` of the audio, and `JSON.parse` of the speech.
 */

const FRAME_MS = 20;
const VARIANTS = 64;

/** The far end of one session: it feeds texts and swallows what is sent. */
interface Wire {
  tell(text: string): void;
}

interface Rig {
  readonly session: ProviderSession;
  readonly wire: Wire;
  /** Has been handed on, in bytes. */
  readonly heard: () => number;
}

interface Case {
  readonly name: string;
  readonly provider: () => RealtimeProvider;
  /** Answers what the session says first. */
  readonly greet: (first: Record<string, unknown>) => readonly object[];
  readonly begin: readonly object[];
  /** A piece of speech as the service sends it. */
  readonly delta: (base64: string, at: number) => object;
  /** The text of a message as the service writes it. */
  readonly write?: (message: object) => string;
  readonly deltaMs: number;
  readonly output: AudioFormat;
  readonly formats: readonly AudioFormat[];
  /** What a first client would send. */
  readonly append: (base64: string) => object;
}

/** Not silence, and no two the same: base64 of zeros is cheaper than that of speech. */
function audio(bytes: number, at: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 31 + at * 7) & 0xff));
}

const id = (kind: string, at: number): string => `${kind}_${String(at).padStart(20, 'Q')}`;

function openAiCase(name: string, format: AudioFormat, deltaMs: number): Case {
  return {
    name,
    provider: () => createOpenAiProvider({ apiKey: 'sk-bench', model: 'gpt-realtime' }),
    greet: ({ session }) => [{ type: 'session.updated', event_id: id('event', 0), session }],
    begin: [{ type: 'response.created', response: { id: id('resp', 1), status: 'in_progress' } }],
    delta: (delta, at) => ({
      type: 'response.output_audio.delta',
      event_id: id('event', at),
      response_id: id('resp', 1),
      item_id: id('item', 1),
      output_index: 0,
      content_index: 0,
      delta,
    }),
    deltaMs,
    output: format,
    formats: [format],
    append: (base64) => ({ type: 'input_audio_buffer.append', audio: base64 }),
  };
}

const LIVE: Case = {
  name: 'openai-live 24 kHz',
  provider: () => createOpenAiLiveProvider({ apiKey: 'sk-bench' }),
  greet: ({ session }) => [
    { type: 'session.started', event_id: id('event', 0), session: { ...Object(session), id: 'sess_1' } },
  ],
  begin: [],
  delta: (delta, at) => ({ type: 'session.output_audio.delta', delta, start_ms: at * FRAME_MS }),
  deltaMs: FRAME_MS,
  output: PCM16_24K,
  formats: [PCM16_24K],
  append: (base64) => ({ type: 'session.input_audio.append', audio: base64 }),
};

const GEMINI: Case = {
  name: 'gemini',
  provider: () => createGeminiProvider({ apiKey: 'bench' }),
  greet: () => [{ setupComplete: {} }],
  begin: [],
  delta: (data) => ({
    serverContent: { modelTurn: { parts: [{ inlineData: { mimeType: 'audio/pcm;rate=24000', data } }] } },
  }),
  write: (message) => `${JSON.stringify(message, null, 2)}\n`,
  deltaMs: 40,
  output: PCM16_24K,
  formats: [],
  append: (data) => ({ realtimeInput: { audio: { mimeType: 'audio/pcm;rate=16000', data } } }),
};

const NOVA_IDS = {
  sessionId: '7c5e2f0a-1d7e-4c3c-9d53-0c1f6f3b9a01',
  promptName: '7c5e2f0a-1d7e-4c3c-9d53-0c1f6f3b9a02',
  completionId: '7c5e2f0a-1d7e-4c3c-9d53-0c1f6f3b9a03',
  contentId: '7c5e2f0a-1d7e-4c3c-9d53-0c1f6f3b9a04',
};

const NOVA: Case = {
  name: 'nova without the SDK',
  provider: () =>
    createNovaProvider({
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'bench' },
    }),
  greet: () => [],
  begin: [
    { event: { completionStart: NOVA_IDS } },
    { event: { contentStart: { ...NOVA_IDS, type: 'AUDIO', role: 'ASSISTANT' } } },
  ],
  delta: (content) => ({ event: { audioOutput: { ...NOVA_IDS, role: 'ASSISTANT', content } } }),
  deltaMs: 32,
  output: { encoding: 'pcm16', rate: 8000 },
  formats: [],
  append: (content) => ({
    event: { audioInput: { promptName: NOVA_IDS.promptName, contentName: NOVA_IDS.contentId, content } },
  }),
};

const CASES: readonly Case[] = [
  openAiCase('openai G.711', MULAW_8K, FRAME_MS),
  openAiCase('openai 24 kHz', PCM16_24K, FRAME_MS),
  openAiCase('openai 24 kHz, 200 ms', PCM16_24K, 200),
  LIVE,
  GEMINI,
  NOVA,
];

class Socket implements WireSocket {
  readonly isOpen = true;
  readonly bufferedAmount = 0;
  readonly #onFirst: (text: string) => void;
  #hasFirst = false;
  /** So that nothing of it can be left out. */
  characters = 0;

  constructor(onFirst: (text: string) => void) {
    this.#onFirst = onFirst;
  }

  send(text: string, flushed?: () => void): void {
    this.characters += text.length;
    flushed?.();
    if (this.#hasFirst) return;
    this.#hasFirst = true;
    this.#onFirst(text);
  }

  ping(): void {}

  close(): void {}

  terminate(): void {}
}

/** A network without wires. */
class Air implements Network {
  readonly #greet: Case['greet'];
  readonly #write: (message: object) => string;
  tell: (text: string) => void = () => undefined;

  constructor({ greet, write = JSON.stringify }: Case) {
    this.#greet = greet;
    this.#write = write;
  }

  dial(_url: URL, _options: unknown, listener: WireListener): WireSocket {
    this.tell = (text) => listener.message(text, false);
    const answer = (text: string): void => {
      for (const message of this.#greet(JSON.parse(text))) this.tell(this.#write(message));
    };
    const socket = new Socket((text) => setImmediate(answer, text));
    setImmediate(() => listener.opened());
    return socket;
  }

  stream(
    _what: string,
    _open: unknown,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    this.tell = (text) => listener.received(Buffer.from(text));
    swallow(body).catch(() => undefined);
    setImmediate(() => {
      listener.connected();
      listener.accepted();
    });
    return { abort: () => undefined };
  }
}

async function swallow(body: AsyncIterable<StreamChunk>): Promise<number> {
  let bytes = 0;
  for await (const { chunk } of body) bytes += chunk.bytes.length;
  return bytes;
}

async function rigOf(found: Case): Promise<Rig> {
  const air = new Air(found);
  let heard = 0;
  const request: ConnectRequest = {
    instructions: 'Be brief.',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: found.formats,
    history: [],
    overrides: {},
    clock: systemClock,
    network: air,
  };
  const session = await found.provider().connect(
    request,
    (event) => {
      if (event.type === 'audio') heard += event.bytes.length;
    },
    new AbortController().signal,
  );
  const { write = JSON.stringify } = found;
  for (const message of found.begin) air.tell(write(message));
  return { session, wire: { tell: (text) => air.tell(text) }, heard: () => heard };
}

/** One after the other, with the turns of the event loop that belong to it. Nanoseconds each. */
async function timed(count: number, work: (at: number) => void): Promise<number> {
  const from = performance.now();
  for (let at = 0; at < count; at++) {
    work(at);
    // What a stream takes is taken between two of them.
    if ((at & 3) === 3) await undefined;
  }
  return ((performance.now() - from) * 1e6) / count;
}

interface Pair {
  readonly ours: number;
  readonly theirs: number;
  readonly noise: number;
}

/** Both by turns, so that both have the same machine; the best round of each is what it costs. */
async function pair(
  rounds: number,
  count: number,
  ours: (at: number) => void,
  theirs: (at: number) => void,
): Promise<Pair> {
  const found: { ours: number; theirs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    found.push({ ours: await timed(count, ours), theirs: await timed(count, theirs) });
  }
  const sorted = found.map((one) => one.ours).sort((a, b) => a - b);
  const best = sorted[0] ?? Number.NaN;
  return {
    ours: best,
    theirs: Math.min(...found.map((one) => one.theirs)),
    noise: ((sorted[rounds >> 1] ?? best) - best) / best,
  };
}

function resultsOf(name: string, work: string, { ours, theirs, noise }: Pair): Result[] {
  const detail = { ns: Math.round(ours), referenceNs: Math.round(theirs) };
  return [
    { bench: 'providers', name: `${name}, ${work}`, value: ours, unit: 'ns', better: 'lower', noise },
    {
      bench: 'providers',
      name: `${name}, ${work}, against JSON`,
      value: ours / theirs,
      unit: 'x',
      better: 'lower',
      noise,
      detail,
    },
  ];
}

async function caseResults(found: Case, rounds: number, count: number): Promise<Result[]> {
  const { session, wire, heard } = await rigOf(found);
  // Whoever converts audio gives the same memory again and again.
  const frame = Uint8Array.from(audio(FRAME_MS * bytesPerMs(session.input), 0));
  const { write = JSON.stringify } = found;
  const size = found.deltaMs * bytesPerMs(found.output);
  const texts = Array.from({ length: VARIANTS }, (_, at) =>
    // As it comes from a socket: in one piece.
    Buffer.from(write(found.delta(audio(size, at).toString('base64'), at))).toString(),
  );
  const at = (list: readonly string[], i: number): string => list[i % VARIANTS] ?? '';
  let swallowed = 0;
  const append = await pair(
    rounds,
    count,
    () => {
      session.sendAudio(frame);
    },
    () => {
      const view = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
      swallowed += JSON.stringify(found.append(view.toString('base64'))).length;
    },
  );
  const before = heard();
  const delta = await pair(
    rounds,
    count,
    (i) => wire.tell(at(texts, i)),
    (i) => {
      swallowed += Buffer.from(payloadOf(JSON.parse(at(texts, i))), 'base64').length;
    },
  );
  if (heard() - before !== rounds * count * size || swallowed === 0) {
    throw new Error(`${found.name} handed on ${heard() - before} bytes, wanted ${rounds * count * size}`);
  }
  return [...resultsOf(found.name, 'append', append), ...resultsOf(found.name, 'delta', delta)];
}

/** The longest text in a message. */
function payloadOf(message: unknown): string {
  if (typeof message === 'string') return message;
  if (typeof message !== 'object' || message === null) return '';
  let longest = '';
  for (const value of Object.values(message)) {
    const found = payloadOf(value);
    if (found.length > longest.length) longest = found;
  }
  return longest;
}

/** Ns for 20 ms of the caller's audio and for a piece of speech, at each provider, and each against plain JSON. */
export async function benchProviders(quick = false): Promise<Result[]> {
  const results: Result[] = [];
  for (const found of CASES)
    results.push(...(await caseResults(found, quick ? 5 : 15, quick ? 4_000 : 20_000)));
  return results;
}

const { values } = parseArgs({ options: BENCH_OPTIONS });
finish('providers', await benchProviders(values.quick), values);
// Sessions hold timers, and there is nobody to say goodbye to.
process.exit();
