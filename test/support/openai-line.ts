import { type Clock, systemClock } from '../../src/clock.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../../src/provider.ts';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../../src/sim/openai.ts';
import { requestOf as plainRequest } from './provider-request.ts';

/** A provider of OpenAI's family against the simulator, which refuses what the real server refuses. */

export const TOOL = {
  name: 'lookup',
  description: 'Looks up',
  parameters: { type: 'object', properties: {} },
};

export function requestOf(over: Partial<ConnectRequest> = {}, clock: Clock = systemClock): ConnectRequest {
  return plainRequest({ tools: [TOOL], clock, ...over });
}

function isOf<T extends ProviderEvent['type']>(
  type: T,
  event: ProviderEvent,
): event is Extract<ProviderEvent, { type: T }> {
  return event.type === type;
}

/** One session and everything that it told. */
export class SimLine {
  readonly session: ProviderSession;
  readonly connection: SimulatedConnection;
  readonly events: ProviderEvent[];
  readonly #heard: Listener;
  #taken = 0;

  constructor(session: ProviderSession, connection: SimulatedConnection, heard: Listener) {
    this.session = session;
    this.connection = connection;
    this.events = heard.events;
    this.#heard = heard;
  }

  get audioBytes(): number {
    return this.#heard.audioBytes;
  }

  /** The next event of a type that no earlier call returned or passed over. */
  async next<T extends ProviderEvent['type']>(type: T): Promise<Extract<ProviderEvent, { type: T }>> {
    for (;;) {
      for (; this.#taken < this.events.length; this.#taken += 1) {
        const event = this.events[this.#taken];
        if (event === undefined || !isOf(type, event)) continue;
        this.#taken += 1;
        return event;
      }
      await this.#heard.news();
    }
  }

  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[] {
    return this.events.filter((event): event is never => event.type === type);
  }

  /** `error` fields that the simulator sent. */
  get refusals(): unknown[] {
    return this.connection.sent
      .filter(({ event }) => event.type === 'error')
      .map(({ event }) => event['error']);
  }

  /** What the session sent, without the audio. */
  received(type: string): Readonly<Record<string, unknown>>[] {
    return this.connection.received.map(({ event }) => event).filter((event) => event.type === type);
  }
}

class Listener {
  readonly events: ProviderEvent[] = [];
  audioBytes = 0;
  #notice: () => void = () => undefined;

  hear(event: ProviderEvent): void {
    if (event.type === 'audio') this.audioBytes += event.bytes.length;
    this.events.push(event);
    this.#notice();
  }

  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#notice = resolve;
    });
  }
}

/** A simulator, and sessions with it that are over when it is. */
export class SimHost implements AsyncDisposable {
  readonly sim: OpenAiSimulator;
  readonly #sessions: ProviderSession[] = [];

  private constructor(sim: OpenAiSimulator) {
    this.sim = sim;
  }

  static async start(options: OpenAiSimulatorOptions = {}): Promise<SimHost> {
    return new SimHost(await startOpenAiSimulator({ speedFactor: 'burst', firstAudioMs: 5, ...options }));
  }

  /** The address of the resource, as Azure has it. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.sim.port}`;
  }

  async dial(
    provider: RealtimeProvider,
    over: Partial<ConnectRequest> = {},
    clock: Clock = systemClock,
  ): Promise<SimLine> {
    const heard = new Listener();
    const { signal } = new AbortController();
    const session = await provider.connect(requestOf(over, clock), (event) => heard.hear(event), signal);
    this.#sessions.push(session);
    return new SimLine(session, await this.sim.nextConnection(), heard);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close('test over')));
    await this.sim.close();
  }
}
