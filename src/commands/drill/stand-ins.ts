import type { AudioFormat, Rate } from '../../audio/format.ts';
import { createTranscoder } from '../../audio/transcode.ts';
import { type Clock, systemClock } from '../../clock.ts';
import type { Env } from '../../config.ts';
import type * as gemini from '../../sim/gemini.ts';
import type * as nova from '../../sim/nova.ts';
import type * as openai from '../../sim/openai.ts';
import { READ_RATE } from './words.ts';

/** Simulated providers behind one set of names, with a model that a script plays. */

export const STAND_INS = ['openai', 'gemini', 'nova'] as const;
export type StandInName = (typeof STAND_INS)[number];

/** What a model is asked for, as far as it knows itself. */
export interface Ask {
  readonly provider: StandInName;
  /** Counts the sessions of this provider. */
  readonly session: number;
  readonly kind: openai.TurnKind;
  readonly instructions: string;
  /** What it believes that the agent has said so far, oldest first. */
  readonly said: readonly string[];
  /** New text for it, that it is to say this included. */
  readonly text: string;
  /** It knows of a function's result. */
  readonly knowsResult: boolean;
}

/** That a model was asked. */
export interface Asked {
  /** By the clock. */
  readonly atMs: number;
  readonly kind: Ask['kind'];
}

/** What the model does. */
export interface Reply {
  readonly transcript?: string;
  /** 24 kHz PCM16. */
  readonly audio?: Int16Array;
  readonly toolCalls?: readonly { readonly name: string; readonly args: object }[];
}

/** The faults that all of the simulators have. */
export type Fault = {
  readonly when: { readonly after: string; readonly value?: number };
  readonly connection?: number;
} & (
  | { readonly do: 'drop' | 'stall' | 'mute' }
  | { readonly do: 'http'; readonly status: number }
  | { readonly do: 'close'; readonly code?: number; readonly reason?: string }
);

/** How one simulated provider behaves; times in ms. */
export interface StandInOptions {
  respond(ask: Ask): Reply;
  readonly faults?: readonly Fault[] | undefined;
  /** Faults that only OpenAI's simulator has. */
  readonly openAiFaults?: readonly openai.FaultRule[] | undefined;
  /** Only Gemini's: so long before the end of a session it says so. */
  readonly goAwayMs?: number | undefined;
  readonly firstAudioMs?: number | undefined;
  readonly speedFactor?: number | undefined;
  readonly handshakeDelayMs?: number | undefined;
  readonly sessionMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** False: what it is sent is not kept. */
  readonly keepAudio?: boolean | undefined;
  /** Told of every event of every session, right after it was handled or sent. */
  readonly onEvent?: ((session: StandInSession, stamp: Stamp) => void) | undefined;
}

/** One event of a session. */
export interface Stamp {
  /** By the clock. */
  readonly atMs: number;
  readonly direction: 'received' | 'sent';
  readonly type: string;
}

/** What all simulators offer of a connection. */
interface Connection {
  readonly index: number;
  readonly isOpen: boolean;
  readonly closed: Promise<unknown>;
  readonly receivedAudioMs: number;
  receivedAudio(): Uint8Array;
  drop(): void;
  stall(): void;
  mute(): void;
}

/** One session of a simulated provider. */
export interface StandInSession {
  readonly provider: StandInName;
  readonly index: number;
  /** By the clock. */
  readonly openedMs: number;
  /** When it was configured; undefined: it was not. By the clock. */
  readonly readyMs: number | undefined;
  /** When it sent the first audio; undefined: it did not. By the clock. */
  readonly firstAudioMs: number | undefined;
  readonly instructions: string;
  readonly stamps: readonly Stamp[];
  readonly asked: readonly Asked[];
  readonly connection: Connection;
  /** Everything that it was sent, PCM16 at `READ_RATE`. */
  received(): Int16Array;
}

/** A simulated provider that listens. */
export interface StandIn extends AsyncDisposable {
  readonly name: StandInName;
  /** The settings of a service that is to use it. */
  readonly env: Env;
  readonly sessions: readonly StandInSession[];
}

/** Types of events that say how far a session is. */
interface Marks {
  readonly ready: string;
  readonly audio: string;
}

const MARKS: Readonly<Record<StandInName, Marks>> = {
  openai: { ready: 'session.updated', audio: 'response.output_audio.delta' },
  gemini: { ready: 'setupComplete', audio: 'modelTurn' },
  nova: { ready: 'promptStart', audio: 'audioOutput' },
};

class Session implements StandInSession {
  readonly provider: StandInName;
  readonly connection: Connection;
  readonly openedMs: number;
  readyMs: number | undefined;
  firstAudioMs: number | undefined;
  instructions = '';
  readonly stamps: Stamp[] = [];
  readonly asked: Asked[] = [];
  readonly #format: () => AudioFormat;

  constructor(
    provider: StandInName,
    { connection, openedMs }: { readonly connection: Connection; readonly openedMs: number },
    format: () => AudioFormat,
  ) {
    this.provider = provider;
    this.connection = connection;
    this.openedMs = openedMs;
    this.#format = format;
  }

  get index(): number {
    return this.connection.index;
  }

  add(stamp: Stamp): void {
    const { ready, audio } = MARKS[this.provider];
    this.stamps.push(stamp);
    if (stamp.type === ready) this.readyMs ??= stamp.atMs;
    if (stamp.type === audio && stamp.direction === 'sent') this.firstAudioMs ??= stamp.atMs;
  }

  received(): Int16Array {
    const transcoder = createTranscoder(this.#format(), { encoding: 'pcm16', rate: READ_RATE });
    const head = transcoder.push(this.connection.receivedAudio()).slice();
    const bytes = Buffer.concat([head, transcoder.flush()]);
    return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
  }
}

/** The sessions of one stand-in, as their events come. */
class Sessions<C extends Connection> {
  readonly list: Session[] = [];
  readonly #provider: StandInName;
  readonly #options: StandInOptions;
  readonly #format: (connection: C) => AudioFormat;
  readonly #byConnection = new Map<Connection, Session>();

  constructor(provider: StandInName, options: StandInOptions, format: (connection: C) => AudioFormat) {
    this.#provider = provider;
    this.#options = options;
    this.#format = format;
  }

  readonly onEvent = (
    connection: C,
    {
      direction,
      atMs,
      event,
    }: { readonly direction: Stamp['direction']; readonly atMs: number; readonly event: Json },
  ): void => {
    const now = (this.#options.clock ?? systemClock).now();
    let session = this.#byConnection.get(connection);
    if (session === undefined) {
      session = new Session(this.#provider, { connection, openedMs: now - atMs }, () =>
        this.#format(connection),
      );
      this.#byConnection.set(connection, session);
      this.list.push(session);
    }
    if (session.instructions === '') session.instructions = instructionsOf(event);
    const stamp: Stamp = { atMs: now, direction, type: String(event['type']) };
    session.add(stamp);
    this.#options.onEvent?.(session, stamp);
  };

  /** What the model does, put down with its time. */
  respond(ask: Ask): Reply {
    const atMs = (this.#options.clock ?? systemClock).now();
    this.list.find(({ index }) => index === ask.session)?.asked.push({ atMs, kind: ask.kind });
    return this.#options.respond(ask);
  }
}

type Json = Readonly<Record<string, unknown>>;

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(object) : [];
}

/** What a client's configuration tells the model to be; empty for other events. */
function instructionsOf(event: Json): string {
  switch (event['type']) {
    case 'session.update':
      return String(object(event['session'])['instructions'] ?? '');
    case 'setup':
      return JSON.stringify(event);
    case 'textInput':
      return String(object(event['body'])['content'] ?? '');
    default:
      return '';
  }
}

function contentText(item: Json): string {
  return list(item['content'])
    .map((part) => part['text'] ?? part['transcript'] ?? '')
    .join('');
}

function options(given: StandInOptions) {
  const { firstAudioMs, speedFactor, handshakeDelayMs, sessionMs, clock } = given;
  return {
    keepAudio: given.keepAudio ?? true,
    ...(firstAudioMs === undefined ? {} : { firstAudioMs }),
    ...(speedFactor === undefined ? {} : { speedFactor }),
    ...(handshakeDelayMs === undefined ? {} : { handshakeDelayMs }),
    ...(sessionMs === undefined ? {} : { sessionMs }),
    ...(clock === undefined ? {} : { clock }),
  };
}

async function openAi(given: StandInOptions): Promise<StandIn> {
  const { startOpenAiSimulator } = await import('../../sim/openai.ts');
  const formatOf = ({ session }: openai.SimulatedConnection): AudioFormat => {
    const format = object(session.audio.input.format);
    if (format['type'] === 'audio/pcmu') return { encoding: 'mulaw', rate: 8000 };
    if (format['type'] === 'audio/pcma') return { encoding: 'alaw', rate: 8000 };
    return { encoding: 'pcm16', rate: 24_000 };
  };
  const sessions = new Sessions<openai.SimulatedConnection>('openai', given, formatOf);
  const simulator = await startOpenAiSimulator({
    ...options(given),
    faults: [...(given.faults ?? []), ...(given.openAiFaults ?? [])],
    onEvent: sessions.onEvent,
    respond: (turn) =>
      sessions.respond({
        provider: 'openai',
        session: turn.connection,
        kind: turn.kind,
        instructions: turn.session.instructions,
        said: turn.items.filter(({ role }) => role === 'assistant').map(contentText),
        text: [String(turn.request['instructions'] ?? ''), ...turn.newItems.map(contentText)].join('\n'),
        knowsResult: turn.items.some(({ type }) => type === 'function_call_output'),
      }),
  });
  return {
    name: 'openai',
    env: { OPENAI_BASE_URL: simulator.url },
    sessions: sessions.list,
    [Symbol.asyncDispose]: () => simulator.close(),
  };
}

async function geminiLive(given: StandInOptions): Promise<StandIn> {
  const { startGeminiSimulator } = await import('../../sim/gemini.ts');
  const sessions = new Sessions<gemini.SimulatedConnection>('gemini', given, () => ({
    encoding: 'pcm16',
    rate: 16_000,
  }));
  const textOf = ({ parts }: gemini.ConversationTurn): string =>
    parts.map((part) => part['text'] ?? '').join('');
  const simulator = await startGeminiSimulator({
    ...options(given),
    // The order of words and sound is not promised. What is heard before its words have come can be told to nobody, so
    // a drill is to have the words in time.
    words: 'ahead',
    ...(given.goAwayMs === undefined ? {} : { goAwayMs: given.goAwayMs }),
    faults: given.faults ?? [],
    onEvent: sessions.onEvent,
    respond: (turn) =>
      sessions.respond({
        provider: 'gemini',
        session: turn.connection,
        kind: turn.kind,
        instructions: turn.instructions,
        said: turn.conversation.filter(({ role }) => role === 'model').map(textOf),
        text: turn.fresh
          .filter(({ role }) => role !== 'model')
          .map(textOf)
          .join('\n'),
        knowsResult: turn.conversation.some(knowsResult),
      }),
  });
  return {
    name: 'gemini',
    env: { GEMINI_BASE_URL: simulator.url },
    sessions: sessions.list,
    [Symbol.asyncDispose]: () => simulator.close(),
  };
}

/** Results of earlier sessions come as text. */
function knowsResult(turn: gemini.ConversationTurn): boolean {
  return turn.parts.some(
    (part) => part['functionResponse'] !== undefined || isResult(String(part['text'] ?? '')),
  );
}

/** What the drill's function answers with. */
export const RESULT = 'the cupboard is full';

function isResult(text: string): boolean {
  return text.includes(RESULT);
}

async function novaSonic(given: StandInOptions): Promise<StandIn> {
  const { startNovaSimulator } = await import('../../sim/nova.ts');
  const formatOf = ({ received }: nova.SimulatedConnection): AudioFormat => {
    for (const { event } of received) {
      const rate = object(object(event['body'])['audioInputConfiguration'])['sampleRateHertz'];
      if (rate !== undefined) return { encoding: 'pcm16', rate: Number(rate) as Rate };
    }
    return { encoding: 'pcm16', rate: 8000 };
  };
  const sessions = new Sessions<nova.SimulatedConnection>('nova', given, formatOf);
  const simulator = await startNovaSimulator({
    ...options(given),
    // As patient as the others.
    endpointScale: 0.4,
    faults: given.faults ?? [],
    onEvent: sessions.onEvent,
    respond: (turn) =>
      sessions.respond({
        provider: 'nova',
        session: turn.connection,
        kind: turn.kind,
        instructions: turn.instructions,
        said: turn.items.filter(({ role }) => role === 'ASSISTANT').map(({ text }) => text),
        text: turn.newItems
          .filter(({ role }) => role === 'USER')
          .map(({ text }) => text)
          .join('\n'),
        knowsResult: turn.items.some(({ role, text }) => role === 'TOOL' || isResult(text)),
      }),
  });
  return {
    name: 'nova',
    env: {
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: simulator.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'SIMULATED',
      AWS_SECRET_ACCESS_KEY: 'simulated',
    },
    sessions: sessions.list,
    [Symbol.asyncDispose]: () => simulator.close(),
  };
}

/** Starts a simulated provider on a port that the system chooses. */
export async function startStandIn(name: StandInName, given: StandInOptions): Promise<StandIn> {
  switch (name) {
    case 'openai':
      return await openAi(given);
    case 'gemini':
      return await geminiLive(given);
    case 'nova':
      return await novaSonic(given);
  }
}
