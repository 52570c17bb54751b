import type { AudioFormat, Rate } from '../../src/audio/format.ts';
import { createTranscoder } from '../../src/audio/transcode.ts';
import { systemClock } from '../../src/clock.ts';
import type { ConnectRequest, ProviderEvent, RealtimeProvider, Usage } from '../../src/provider.ts';
import { createGeminiProvider } from '../../src/providers/gemini.ts';
import { createLocalProvider } from '../../src/providers/local.ts';
import { createNovaProvider } from '../../src/providers/nova.ts';
import { createOpenAiProvider } from '../../src/providers/openai.ts';
import { createOpenAiLiveProvider } from '../../src/providers/openai-live.ts';
import {
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from '../../src/providers/openai-relatives.ts';
import { type ConversationTurn, startGeminiSimulator } from '../../src/sim/gemini.ts';
import { startNovaSimulator } from '../../src/sim/nova.ts';
import { type OpenAiSimulatorOptions, startOpenAiSimulator } from '../../src/sim/openai.ts';
import { startOpenAiLiveSimulator } from '../../src/sim/openai-live.ts';

/** Every provider of the service on its simulator, behind one set of names, with a model that a test plays. */

export const ACTORS = [
  'openai',
  'openai-live',
  'gemini',
  'nova',
  'xai',
  'azure',
  'azure-voice-live',
  'inworld',
  'local',
] as const;
export type ActorName = (typeof ACTORS)[number];

/** What a model is asked for, as far as it knows itself. */
export interface Question {
  readonly kind: string;
  /** Counts the sessions of this provider. */
  readonly session: number;
  /** What it believes that the agent has said, oldest first. */
  readonly said: readonly string[];
  /** Everything that it can read of the conversation, oldest first, as `role: text`. */
  readonly read: readonly string[];
  /** New text, that it is to say this included. */
  readonly text: string;
  /** By the clock of the system. */
  readonly atMs: number;
}

export interface Answer {
  readonly transcript?: string;
  /** 24 kHz PCM16. */
  readonly audio?: Int16Array;
  readonly toolCalls?: readonly { readonly name: string; readonly args: object }[];
}

export interface ActorOptions {
  respond(question: Question): Answer;
  /** Longest session, in ms, and how long before its end that is told. */
  readonly sessionMs?: number;
  readonly marginMs?: number;
  /** A session can be gone on with, where the provider has that; default true. */
  readonly resumes?: boolean;
  readonly firstAudioMs?: number;
  readonly speedFactor?: number;
}

/** One session, from the provider's side of the wire. */
export interface ActorSession {
  readonly isOpen: boolean;
  readonly closed: Promise<unknown>;
  /** What it was asked, in order. */
  readonly questions: readonly Question[];
  /** What the service objected to. */
  complaints(): readonly unknown[];
  /** All that it was sent, PCM16 with 8 kHz. */
  received(): Int16Array;
  drop(): void;
}

export interface Actor extends AsyncDisposable {
  readonly name: ActorName;
  readonly provider: RealtimeProvider;
  readonly sessions: readonly ActorSession[];
  /** How its sessions were asked for, and what they charged. */
  readonly requests: readonly ConnectRequest[];
  readonly charged: readonly Usage[];
}

const KEY = 'key-for-tests';
const READ: AudioFormat = { encoding: 'pcm16', rate: 8000 };
const DEFAULTS = { firstAudioMs: 100, speedFactor: 1.5 } as const;

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function textOf(item: Fields): string {
  const content = Array.isArray(item['content']) ? item['content'].map(fields) : [];
  return `${item['text'] ?? item['output'] ?? ''}${content.map((part) => part['text'] ?? part['transcript'] ?? '').join('')}`;
}

/** What all simulators offer of a connection. */
interface Connection {
  readonly index: number;
  readonly isOpen: boolean;
  readonly closed: Promise<unknown>;
  receivedAudio(): Uint8Array;
  drop(): void;
}

class Session implements ActorSession {
  readonly questions: Question[];
  readonly #connection: Connection;
  readonly #format: () => AudioFormat;
  readonly complaints: () => readonly unknown[];

  constructor(
    connection: Connection,
    format: () => AudioFormat,
    complaints: () => readonly unknown[],
    questions: Question[],
  ) {
    this.#connection = connection;
    this.#format = format;
    this.complaints = complaints;
    this.questions = questions;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  get closed(): Promise<unknown> {
    return this.#connection.closed;
  }

  received(): Int16Array {
    const bytes = this.#connection.receivedAudio();
    const transcoder = createTranscoder(this.#format(), READ);
    const all = Buffer.concat([transcoder.push(bytes).slice(), transcoder.flush()]);
    return Int16Array.from({ length: all.length >> 1 }, (_, i) => all.readInt16LE(2 * i));
  }

  drop(): void {
    this.#connection.drop();
  }
}

/** What was asked, by session. */
class Notebook {
  readonly #respond: ActorOptions['respond'];
  readonly #asked = new Map<number, Question[]>();

  constructor(respond: ActorOptions['respond']) {
    this.#respond = respond;
  }

  of(session: number): Question[] {
    const list = this.#asked.get(session) ?? [];
    this.#asked.set(session, list);
    return list;
  }

  readonly ask = (asked: Omit<Question, 'atMs'>): Answer => {
    const question = { ...asked, atMs: systemClock.now() };
    this.of(question.session).push(question);
    return this.#respond(question);
  };
}

/** What a simulator stands for. */
interface Stand {
  readonly provider: RealtimeProvider;
  readonly sessions: () => readonly ActorSession[];
  close(): Promise<void>;
}

function withLimit({ sessionMs }: ActorOptions): { readonly sessionMs?: number } {
  return sessionMs === undefined ? {} : { sessionMs };
}

function said(lines: readonly (readonly [string, string])[], ...roles: readonly string[]): string[] {
  return lines.flatMap(([role, text]) => (roles.includes(role) ? [text] : []));
}

function read(lines: readonly (readonly [string, string])[]): string[] {
  return lines.map(([role, text]) => `${role}: ${text}`);
}

function familyFormat(format: unknown): AudioFormat {
  const type = typeof format === 'string' ? format : fields(format)['type'];
  switch (type) {
    case 'audio/pcmu':
    case 'g711_ulaw':
      return { encoding: 'mulaw', rate: 8000 };
    case 'audio/pcma':
    case 'g711_alaw':
      return { encoding: 'alaw', rate: 8000 };
    default: {
      const rate = fields(format)['rate'];
      return { encoding: 'pcm16', rate: (typeof rate === 'number' ? rate : 24_000) as Rate };
    }
  }
}

/** OpenAI and those who speak like it. */
async function family(
  options: ActorOptions,
  dialect: OpenAiSimulatorOptions['dialect'],
  make: (place: { readonly url: string; readonly endpoint: string }) => RealtimeProvider,
): Promise<Stand> {
  const notebook = new Notebook(options.respond);
  const simulator = await startOpenAiSimulator({
    firstAudioMs: options.firstAudioMs ?? DEFAULTS.firstAudioMs,
    speedFactor: options.speedFactor ?? DEFAULTS.speedFactor,
    keepAudio: true,
    ...(dialect === undefined ? {} : { dialect }),
    ...withLimit(options),
    respond(turn) {
      const lines = turn.items.map((item) => [String(item['role'] ?? item['type']), textOf(item)] as const);
      const fresh = turn.newItems.map(textOf);
      return notebook.ask({
        kind: turn.kind,
        session: turn.connection,
        said: said(lines, 'assistant'),
        read: read(lines),
        text: [String(turn.request['instructions'] ?? ''), ...fresh].join('\n').trim(),
      });
    },
  });
  return {
    provider: make({ url: simulator.url, endpoint: `http://127.0.0.1:${simulator.port}` }),
    sessions: () =>
      simulator.connections.map(
        (connection) =>
          new Session(
            connection,
            () => familyFormat(connection.session.audio.input.format),
            () =>
              connection.sent
                .filter(({ event }) => event.type === 'error')
                .map(({ event }) => fields(event['error']))
                .filter(({ code }) => code !== 'response_cancel_not_active'),
            notebook.of(connection.index),
          ),
      ),
    close: () => simulator.close(),
  };
}

async function gemini(options: ActorOptions): Promise<Stand> {
  const notebook = new Notebook(options.respond);
  const words = ({ parts }: ConversationTurn): string =>
    parts.map((part) => String(part['text'] ?? JSON.stringify(part))).join('');
  const simulator = await startGeminiSimulator({
    firstAudioMs: options.firstAudioMs ?? DEFAULTS.firstAudioMs,
    speedFactor: options.speedFactor ?? DEFAULTS.speedFactor,
    keepAudio: true,
    words: 'ahead',
    ...withLimit(options),
    ...(options.marginMs === undefined ? {} : { goAwayMs: options.marginMs }),
    respond(turn) {
      const lines = turn.conversation.map((one) => [one.role, words(one)] as const);
      return notebook.ask({
        kind: turn.kind,
        session: turn.connection,
        said: said(lines, 'model'),
        read: read(lines),
        text: turn.fresh
          .filter(({ role }) => role !== 'model')
          .map(words)
          .join('\n'),
      });
    },
  });
  return {
    provider: createGeminiProvider({
      apiKey: KEY,
      baseUrl: simulator.url,
      resumption: options.resumes ?? true,
    }),
    sessions: () =>
      simulator.connections.map(
        (connection) =>
          new Session(
            connection,
            () => ({ encoding: 'pcm16', rate: 16_000 }),
            () => (connection.refusal === undefined ? [] : [connection.refusal]),
            notebook.of(connection.index),
          ),
      ),
    close: () => simulator.close(),
  };
}

async function nova(options: ActorOptions): Promise<Stand> {
  const notebook = new Notebook(options.respond);
  const simulator = await startNovaSimulator({
    firstAudioMs: options.firstAudioMs ?? DEFAULTS.firstAudioMs,
    speedFactor: options.speedFactor ?? DEFAULTS.speedFactor,
    keepAudio: true,
    // As patient as the others.
    endpointScale: 0.35,
    ...withLimit(options),
    respond(turn) {
      const lines = turn.items.map(({ role, text }) => [role, text] as const);
      return notebook.ask({
        kind: turn.kind,
        session: turn.connection,
        said: said(lines, 'ASSISTANT'),
        read: [`SYSTEM: ${turn.instructions}`, ...read(lines)],
        text: turn.newItems
          .filter(({ role }) => role === 'USER')
          .map(({ text }) => text)
          .join('\n'),
      });
    },
  });
  const provider = createNovaProvider({
    endpoint: simulator.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'KEYFORTESTS', secretAccessKey: 'secret-for-tests' },
    maxSessionMs: options.sessionMs,
    expiryMarginMs: options.marginMs,
  });
  return {
    provider,
    sessions: () =>
      simulator.connections.map(
        (connection) =>
          new Session(
            connection,
            () => novaFormat(connection.received),
            () => connection.sent.filter(({ event }) => /exception$/i.test(event.type)),
            notebook.of(connection.index),
          ),
      ),
    async close() {
      await provider.close?.();
      await simulator.close();
    },
  };
}

function novaFormat(received: readonly { readonly event: Fields }[]): AudioFormat {
  for (const { event } of received) {
    const rate = fields(fields(event['body'])['audioInputConfiguration'])['sampleRateHertz'];
    if (rate !== undefined) return { encoding: 'pcm16', rate: Number(rate) as Rate };
  }
  return { encoding: 'pcm16', rate: 8000 };
}

async function openAiLive(options: ActorOptions): Promise<Stand> {
  const notebook = new Notebook(options.respond);
  const simulator = await startOpenAiLiveSimulator({
    firstAudioMs: options.firstAudioMs ?? DEFAULTS.firstAudioMs,
    keepAudio: true,
    usageMs: 1000,
    ...withLimit(options),
    respond(turn) {
      const lines = turn.items.map((item) => [String(item['role'] ?? item['type']), textOf(item)] as const);
      return notebook.ask({
        kind: turn.kind,
        session: turn.connection,
        said: said(lines, 'assistant'),
        read: read(lines),
        text: [turn.text, ...turn.newItems.filter(({ role }) => role !== 'assistant').map(textOf)].join('\n'),
      });
    },
  });
  return {
    provider: createOpenAiLiveProvider({
      apiKey: KEY,
      baseUrl: simulator.url,
      quietMs: 600,
      expiryMarginMs: options.marginMs,
    }),
    sessions: () =>
      simulator.connections.map(
        (connection) =>
          new Session(
            connection,
            () => familyFormat(fields(fields(connection.session)['audio'])['format']),
            () => connection.sent.filter(({ event }) => event.type === 'error'),
            notebook.of(connection.index),
          ),
      ),
    close: () => simulator.close(),
  };
}

function stand(name: ActorName, options: ActorOptions): Promise<Stand> {
  const expiryMarginMs = options.marginMs;
  const model = 'gpt-realtime';
  switch (name) {
    case 'openai':
      return family(options, undefined, ({ url }) =>
        createOpenAiProvider({ apiKey: KEY, model, baseUrl: url, expiryMarginMs }),
      );
    case 'azure':
      return family(options, undefined, ({ endpoint }) =>
        createAzureOpenAiProvider({ apiKey: KEY, deployment: 'voice', endpoint, expiryMarginMs }),
      );
    case 'azure-voice-live':
      return family(options, 'voice-live', ({ endpoint }) =>
        createAzureVoiceLiveProvider({ apiKey: KEY, model, endpoint, expiryMarginMs }),
      );
    case 'xai':
      return family(options, 'xai', ({ url }) =>
        createXaiProvider({
          apiKey: KEY,
          baseUrl: url,
          maxSessionMs: options.sessionMs,
          resumption: options.resumes ?? true,
          expiryMarginMs,
        }),
      );
    case 'inworld':
      return family(options, 'inworld', ({ url }) =>
        createInworldProvider({
          apiKey: KEY,
          baseUrl: url,
          maxSessionMs: options.sessionMs ?? 3_600_000,
          expiryMarginMs,
        }),
      );
    case 'gemini':
      return gemini(options);
    case 'nova':
      return nova(options);
    case 'openai-live':
      return openAiLive(options);
    case 'local':
      return Promise.resolve(localStand());
  }
}

/** It is no service: there is nothing on the other side of a wire. */
function localStand(): Stand {
  const provider = createLocalProvider();
  return { provider, sessions: () => [], close: async () => await provider.close?.() };
}

/** Starts a provider with its simulator, on a port that the system chooses. */
export async function startActor(name: ActorName, options: ActorOptions): Promise<Actor> {
  const { provider, sessions, close } = await stand(name, options);
  const requests: ConnectRequest[] = [];
  const charged: Usage[] = [];
  const heed = (event: ProviderEvent): void => {
    if (event.type === 'usage') charged.push(event.usage);
  };
  const watched: RealtimeProvider = {
    name,
    model: provider.model,
    capabilities: provider.capabilities,
    connect(request, sink, signal) {
      requests.push(request);
      const tell = (event: ProviderEvent): void => {
        heed(event);
        sink(event);
      };
      return provider.connect(request, tell, signal);
    },
  };
  return {
    name,
    provider: watched,
    requests,
    charged,
    get sessions() {
      return sessions();
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Loads what providers load with their first session, so that no call has to wait for it. */
export async function warmUp(): Promise<void> {
  await import('@aws-sdk/client-bedrock-runtime');
}
