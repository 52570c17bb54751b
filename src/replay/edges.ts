import type { Agent } from '../agents.ts';
import type { Carrier, CarrierName, IncomingCall } from '../carrier.ts';
import { type AgentParts, agentFrom } from '../recording/agent-record.ts';
import { CallTape } from '../recording/call-tape.ts';
import { Ear } from '../recording/ear.ts';
import { askedOf, type RestAsked } from '../recording/rest-tap.ts';
import { hider } from '../recording/secrets.ts';
import { audioOf, type StoredCall } from '../recording/stored-call.ts';
import { KEYS_HANDLER, toolCallIdOf } from '../recording/tool-tap.ts';
import type { Tape, Tapes } from '../tape.ts';
import type { Tool } from '../tools.ts';
import type { Source } from './fed-socket.ts';
import { FoundSink } from './found-sink.ts';
import { ProviderFeed } from './provider-feed.ts';
import type { ReplayClock } from './replay-clock.ts';
import { RestFeed } from './rest-feed.ts';
import type { StageOptions } from './stage-options.ts';
import { ToolFeed } from './tool-feed.ts';

/** A machine that is later than this is not only busy. */
const HELD_UP_MS = 1000;

/** The edges of the calls of a replay: who plays the other side, and the recorder that writes down what is found. */
export class Edges implements Tapes {
  readonly sink: FoundSink;
  readonly tools: ToolFeed;
  readonly providers: ProviderFeed;
  readonly rest: RestFeed;
  readonly source: Source;
  readonly #stored: StoredCall;
  readonly #clock: ReplayClock;
  #tape: CallTape | undefined;
  readonly #ear: Ear | undefined;
  #key: { readonly carrier: CarrierName; readonly callId: string } | undefined;

  constructor({ stored, clock, toolMatch, onLine, listen = false }: StageOptions) {
    this.#stored = stored;
    this.#clock = clock;
    this.sink = new FoundSink(stored, onLine);
    this.source = {
      audio: (ref) => audioOf(stored, ref),
      translate: (text) => this.sink.ids.translate(text),
      until: (ms) =>
        ms <= clock.now() ? undefined : new Promise((resolve) => clock.at(ms, () => resolve())),
    };
    this.#ear = listen ? new Ear({ stereo: (format, bytes) => this.sink.stereo(format, bytes) }) : undefined;
    this.tools = new ToolFeed(stored.lines, toolMatch);
    this.providers = new ProviderFeed(this.source, stored.lines);
    this.rest = new RestFeed(stored.lines);
  }

  /** Requests of the bridge to the carrier; those that belong to no call are not written down. */
  readonly fetch: typeof fetch = (input, init) => {
    const ask = (): Promise<Response> => this.rest.fetch(input, init);
    const asked = askedOf(input, init);
    const tape = this.#tape;
    if (tape === undefined || asked === undefined) return ask();
    const held = this.#heldUp(asked);
    return held === undefined ? tape.rest(asked, ask) : held.then(() => tape.rest(asked, ask));
  };

  /** In a recording from life a pause before a request that is made once more ended as late as the machine was. */
  #heldUp({ method, url }: RestAsked): Promise<void> | undefined {
    const at = this.#clock.isFromLife ? this.rest.againAt(method, url) : undefined;
    return at === undefined || at - this.#clock.now() > HELD_UP_MS ? undefined : this.source.until(at);
  }

  /** Webhooks are written down by whoever sends them: also those that belong to no call. */
  webhook(): undefined {
    return undefined;
  }

  begin(carrier: Carrier, call: IncomingCall): Tape {
    const { seed, epochMs } = this.#stored.call;
    const { sink } = this;
    this.#key = { carrier: carrier.name, callId: call.callId };
    this.#tape = new CallTape({
      clock: this.#clock.ofCall,
      startedAt: 0,
      steady: true,
      epochMs,
      network: this.providers,
      seed,
      sink,
      carrier,
      call,
      hide: hider([]),
      timers: false,
      signed: () => 'bad-signature',
      ear: this.#ear,
      // What cannot be written down is missed when the two calls are compared.
      onTrouble: () => undefined,
      onEnded: () => undefined,
    });
    return this.#tape;
  }

  /** The call that is up, or was last. */
  get key(): { readonly carrier: CarrierName; readonly callId: string } | undefined {
    return this.#key;
  }

  async close(): Promise<void> {}

  /** Nothing more is heard. */
  finish(): void {
    this.#ear?.close(this.#clock.now());
  }

  /** The agent of the recording, or `changed`, with functions that do what they did. */
  agent(changed: Agent | undefined): Agent {
    if (changed !== undefined) {
      const tools = changed.tools.map((tool) => (tool.builtIn === undefined ? this.#played(tool) : tool));
      return { ...changed, tools };
    }
    const parts: AgentParts = {
      tool: (tool) => this.#played(tool),
      handleDigits: async (digits) => {
        const told = await this.tools.run(KEYS_HANDLER, '', { digits }, undefined);
        return typeof told === 'string' ? told : undefined;
      },
    };
    return agentFrom(this.#stored.call.agent, parts);
  }

  #played(tool: Tool): Tool {
    const { name } = tool.definition;
    return {
      ...tool,
      run: (args, context) => this.tools.run(name, toolCallIdOf(context), args, context),
    };
  }
}
