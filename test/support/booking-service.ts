import { type Restaurant, restaurant } from '../../examples/booking/restaurant.js';
import { createBookingTools } from '../../examples/booking/tools.js';
import { type Agent, voiceAgent } from '../../src/agents.ts';
import type { CallEvent } from '../../src/call-events.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { type Bridge, createBridge } from '../../src/server.ts';
import {
  type OpenAiSimulator,
  type SimulatedConnection,
  startOpenAiSimulator,
  type Turn,
} from '../../src/sim/openai.ts';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import { BookingFile, NOON, type OpenBookings, type SlowPlaces, slowBookings } from './booking-store.ts';
import { STYLES, type Style } from './carrier-styles.ts';
import { type Script, scriptedModel } from './scripted-model.ts';

export const FILLER = 'One moment, please.';
const SECRET = '12345678901234567890123456789012';
const [TWILIO] = STYLES;

type WireObject = Readonly<Record<string, unknown>>;

/** What was given back to the model. */
export interface FunctionOutput {
  readonly callId: string;
  readonly output: Readonly<Record<string, unknown>>;
}

export interface BookingServiceOptions {
  /** Default: Twilio. */
  readonly style?: Style;
  readonly model: Script;
  readonly house?: Restaurant;
  readonly slow?: SlowPlaces;
  /** Default 60: tests do not wait as patiently as people do. */
  readonly fillerAfterMs?: number;
  /** Of every function; default: its own. */
  readonly timeoutMs?: number;
  readonly calls?: Partial<CallOptions>;
  readonly agent?: Partial<Agent>;
  /** Takes the place of the agent that is made here, with functions over files of its own. */
  readonly agentsFile?: string;
}

/** It is the same Saturday noon whenever the tests run. */
function berlinNoon(): Clock {
  const offset = NOON - systemClock.epoch();
  return { ...systemClock, epoch: () => systemClock.epoch() + offset };
}

/** What the function that was called last has answered, for a step that goes by it. */
export function answer(turn: Turn): Readonly<Record<string, unknown>> {
  const item = turn.newItems.find(({ type }) => type === 'function_call_output');
  return JSON.parse(String(item?.['output'] ?? '{}'));
}

/** The real service with the example's functions over a real file, a model with a script, and a telephone exchange. */
export class BookingService implements AsyncDisposable {
  readonly file = new BookingFile();
  readonly events: (CallEvent & { readonly callId: string })[] = [];
  readonly log: string[] = [];
  readonly style: Style;
  readonly #waiting = new Set<() => void>();
  #parts:
    | { readonly exchange: Exchange; readonly openai: OpenAiSimulator; readonly bridge: Bridge }
    | undefined;
  #url = '';
  #bookings: OpenBookings | undefined;

  private constructor(style: Style) {
    this.style = style;
  }

  static async start(options: BookingServiceOptions): Promise<BookingService> {
    const style = options.style ?? TWILIO;
    if (style === undefined) throw new Error('there is no style');
    const service = new BookingService(style);
    await service.#start(options);
    return service;
  }

  get bridge(): Bridge {
    return this.#made.bridge;
  }

  get openai(): OpenAiSimulator {
    return this.#made.openai;
  }

  /** Somebody calls the restaurant. */
  dial(options: Partial<CallOptions> = {}): SimulatedCall {
    const { carrier, route } = this.style;
    return this.#made.exchange.placeCall({
      webhookUrl: `${this.#url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.#url}/status/${carrier}`,
      from: '+15550100123',
      to: '+15550100200',
      ...options,
    });
  }

  /** A call that is up, whose model is there. */
  async connected(options: Partial<CallOptions> = {}): Promise<SimulatedCall> {
    const call = this.dial(options);
    await call.streaming;
    await this.event('providerReady', (event) => event.callId === call.callId);
    return call;
  }

  /** The session of the model with the call of this index. */
  connection(index = 0): SimulatedConnection {
    const connection = this.openai.connections[index];
    if (connection === undefined) throw new Error(`the model has had no call ${index}`);
    return connection;
  }

  /** The next result of a function that the model is told. */
  async output(index = 0): Promise<FunctionOutput> {
    const isOutput = (event: WireObject): boolean => functionOutput(event) !== undefined;
    const { event } = await this.connection(index).next('conversation.item.create', isOutput);
    const output = functionOutput(event);
    if (output === undefined) throw new Error('that is no result of a function');
    return output;
  }

  /** Every result of a function that the model was told so far. */
  outputs(index = 0): readonly FunctionOutput[] {
    return this.connection(index).received.flatMap(({ event }) => {
      const output = functionOutput(event);
      return output === undefined ? [] : [output];
    });
  }

  /** What the model was told of one call of a function. */
  outputsOf(callId: string): readonly FunctionOutput['output'][] {
    return this.outputs().flatMap((told) => (told.callId === callId ? [told.output] : []));
  }

  /** What the agent has said, to its end, in all calls. */
  get said(): readonly string[] {
    return this.events.flatMap((event) =>
      event.type === 'transcript' && event.role === 'assistant' && event.final ? [event.text] : [],
    );
  }

  /** What has happened so far, for those who wait for what happens next. */
  get mark(): number {
    return this.events.length;
  }

  /** The agent says this, after `mark`; resolves when all of the words are there, which is before they were heard. */
  async hears(text: string, mark = 0): Promise<void> {
    await this.event(
      'transcript',
      (event) => event.role === 'assistant' && event.final && event.text.includes(text),
      mark,
    );
  }

  /** Resolves when whatever the functions still do of their own accord is done. */
  async settled(): Promise<void> {
    // What waits for promises only, then what the thread of the database has in its queue; what was done there may have
    // made a function ask for more, which it does twice at most.
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.#bookings?.free([], 1, new AbortController().signal);
    }
  }

  /** Resolves when an event of this type that `accept` takes has happened, after `mark`. */
  event<T extends CallEvent['type']>(
    type: T,
    accept: (event: Extract<CallEvent, { type: T }> & { readonly callId: string }) => boolean = () => true,
    mark = 0,
  ): Promise<Extract<CallEvent, { type: T }>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find(
          (event, index) => index >= mark && event.type === type && accept(event as never),
        );
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found as never);
      };
      this.#waiting.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts?.bridge.close();
    await this.#parts?.exchange[Symbol.asyncDispose]();
    await this.#parts?.openai.close();
    await this.file[Symbol.asyncDispose]();
  }

  get #made() {
    if (this.#parts === undefined) throw new Error('the service was not started');
    return this.#parts;
  }

  async #start(options: BookingServiceOptions): Promise<void> {
    const clock = berlinNoon();
    const exchange = await startExchange({
      clock,
      carrier: this.style.carrier,
      defaults: { authToken: SECRET, keepAudio: false, ...this.style.call, ...options.calls },
    });
    const openai = await startOpenAiSimulator({
      clock,
      firstAudioMs: 20,
      respond: scriptedModel(options.model, sayMs),
    });
    const bridge = await createBridge({
      config: loadConfig({
        PORT: '0',
        HOST: '127.0.0.1',
        OPENAI_BASE_URL: openai.url,
        OPENAI_API_KEY: 'sk-simulated',
        ...this.style.env(SECRET, exchange.restBaseUrl ?? ''),
        ...(options.agentsFile === undefined ? {} : { AGENTS_FILE: options.agentsFile }),
      }),
      clock,
      ...(options.agentsFile === undefined ? { agent: this.#agent(options) } : {}),
      log: createLog('trace', { write: (line: string) => this.log.push(line) }),
      observe: (callId, event) => this.#observe({ ...event, callId }),
    });
    this.#parts = { exchange, openai, bridge };
    this.#url = await bridge.listen();
  }

  #agent({
    house = restaurant,
    slow = {},
    fillerAfterMs = 60,
    timeoutMs,
    agent,
  }: BookingServiceOptions): Agent {
    const text = {
      instructions: 'You take reservations.',
      greeting: 'Trattoria, good evening!',
      voice: undefined,
      language: 'en',
      audio: 'wideband',
      maxCallMs: 600_000,
      silenceMs: 0,
    } as const;
    this.#bookings = this.file.open(house);
    const bookings = slowBookings(this.#bookings, slow);
    const tools = createBookingTools({ bookings, restaurant: house }).map((tool) => ({
      ...tool,
      fillerAfterMs,
      timeoutMs: timeoutMs ?? tool.timeoutMs,
    }));
    const filler = { afterMs: fillerAfterMs, texts: [FILLER], clip: undefined, everyMs: 60_000, atMost: 1 };
    const made = voiceAgent(text, tools);
    return { ...made, name: 'booking', filler, ...agent, tools: [...made.tools, ...(agent?.tools ?? [])] };
  }

  #observe(event: CallEvent & { readonly callId: string }): void {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }
}

/** The result of a function in an event of the bridge. */
function functionOutput({ item }: WireObject): FunctionOutput | undefined {
  const { type, call_id, output } = (item ?? {}) as WireObject;
  if (type !== 'function_call_output') return undefined;
  return { callId: String(call_id), output: JSON.parse(String(output)) };
}

/** The filler is long enough to be interrupted; it is cut off when there is a result. */
const sayMs = (sentence: string): number => (sentence === FILLER ? 4000 : 300);

const WORDS = new Int16Array(8 * 400).map((_, i) =>
  Math.round(9000 * Math.sin(i * 0.35) * Math.sin(i / 300)),
);

/** The caller lets the agent finish, and says something. */
export async function speak(call: SimulatedCall): Promise<void> {
  await call.untilQuiet(300);
  await call.speak(WORDS);
}

/** The caller speaks over the agent. */
export async function cutIn(call: SimulatedCall): Promise<void> {
  await call.speak(WORDS);
}
