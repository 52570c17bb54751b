import { type Agent, voiceAgent } from '../../src/agents.ts';
import { decodeG711 } from '../../src/audio/g711.ts';
import type { CallEvent } from '../../src/call-events.ts';
import type { CarrierName } from '../../src/carrier.ts';
import { systemClock } from '../../src/clock.ts';
import { HELLO, LETTERS, type Lexicon, NUMBERS } from '../../src/commands/drill/lexicon.ts';
import { type FoundWord, missing, readWords, repeated } from '../../src/commands/drill/words.ts';
import { newAccount, settingsFor } from '../../src/commands/simulated-account.ts';
import { type Env, loadConfig } from '../../src/config.ts';
import { FAILOVER } from '../../src/fallback/policy.ts';
import { createLog } from '../../src/log.ts';
import type { Usage } from '../../src/provider.ts';
import { type Bridge, createBridge } from '../../src/server.ts';
import {
  type CallOptions,
  type CallReport,
  type Exchange,
  type SimulatedCall,
  startExchange,
} from '../../src/sim/phone.ts';
import type { Tool } from '../../src/tools.ts';
import type { Actor, ActorSession, Answer, Question } from './actors.ts';

/**
 * A whole call over real sockets with the providers of a test: the caller spells, the agent counts, and what came through
 * is read from the recordings.
 */

type EventOf<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;

/** A text that is to be said word for word, as the adapters ask for it. */
const VERBATIM = /-----\n(.*)\n-----/s;

function wordsIn(text: string): string[] {
  const known: readonly string[] = [HELLO, ...NUMBERS];
  return text
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => known.includes(word));
}

/** Says something in one of the voices of the lexicon. */
export function says(lexicon: Lexicon, voice: string, texts: readonly string[]): Answer {
  return texts.length === 0 ? {} : { transcript: texts.join(' '), audio: lexicon.sentence(texts, voice) };
}

/** The text that it is to say, whichever way it is asked; undefined: it chooses its words. */
function givenText({ text, kind }: Question): readonly string[] | undefined {
  const given = VERBATIM.exec(text)?.[1];
  if (given !== undefined) return wordsIn(given);
  // Nobody else has said anything: it is the text that it was given.
  return kind === 'greeting' ? [HELLO] : undefined;
}

/** A model that goes on counting after the number that it believes was said last, `atOnce` numbers at a time. */
export function counts(
  lexicon: Lexicon,
  voice: string,
  atOnce: number,
  upTo: number = NUMBERS.length,
): (question: Question) => Answer {
  const numbers: readonly string[] = NUMBERS;
  return (question) => {
    const given = givenText(question);
    if (given !== undefined) return says(lexicon, voice, given);
    const last = question.said.flatMap(wordsIn).findLast((word) => word !== HELLO) ?? '';
    const from = 1 + numbers.indexOf(last);
    return says(lexicon, voice, numbers.slice(from, Math.min(from + atOnce, upTo)));
  };
}

/** The one that was asked first after this time; undefined: none was. */
function firstAsked<T extends Pick<ActorSession, 'questions'>>(
  sessions: readonly T[],
  afterMs: number,
): T | undefined {
  const askedAt = ({ questions }: T): number =>
    questions.find(({ atMs }) => atMs > afterMs)?.atMs ?? Number.POSITIVE_INFINITY;
  const [first] = sessions
    .filter((session) => askedAt(session) < Number.POSITIVE_INFINITY)
    .sort((a, b) => askedAt(a) - askedAt(b));
  return first;
}

export interface TalkOptions {
  /** In the order of the agent's list. */
  readonly actors: readonly Actor[];
  readonly lexicon: Lexicon;
  readonly agent?: Partial<Agent>;
  readonly tools?: readonly Tool[];
  readonly carrier?: CarrierName;
  /** Telnyx: by Call Control. */
  readonly route?: 'voice' | 'events';
  readonly env?: Env;
  readonly calls?: Partial<CallOptions>;
}

/** What the recordings say. */
export interface Heard {
  /** What the caller heard of the agent. */
  readonly agent: readonly FoundWord[];
  /** Letters that the caller said and that reached no session whole. */
  readonly lost: readonly string[];
  /** Letters that did not reach the session that answered them. */
  readonly unheard: readonly string[];
  /** Words of the agent that were heard more than once, and numbers in between that never were. */
  readonly twice: readonly string[];
  readonly skipped: readonly string[];
}

const QUIET_MS = 700;
/** On a machine that is held up so often, holes fall into words. */
const LATE_TICKS_A_WORD = 100;

/** One call that is up. */
export class Talk implements AsyncDisposable {
  readonly events: CallEvent[] = [];
  readonly actors: readonly Actor[];
  readonly lexicon: Lexicon;
  phone!: SimulatedCall;
  readonly #waiting = new Set<() => void>();
  /** What the caller said, turn by turn, and when that began. */
  readonly #turns: { readonly texts: readonly string[]; readonly atMs: number }[] = [];
  #bridge: Bridge | undefined;
  #exchange: Exchange | undefined;
  #letters = 0;
  #report: CallReport | undefined;

  private constructor({ actors, lexicon }: TalkOptions) {
    this.actors = actors;
    this.lexicon = lexicon;
  }

  /** The caller has been put through, and the greeting, if there is one, was heard. */
  static async begin(options: TalkOptions): Promise<Talk> {
    const talk = new Talk(options);
    try {
      await talk.#begin(options);
      return talk;
    } catch (thrown) {
      await talk[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** The caller says the next letters; resolves when they are said. */
  async spell(count: number): Promise<void> {
    const from = this.#letters;
    this.#letters = (from + count) % LETTERS.length;
    const texts = Array.from({ length: count }, (_, i) => LETTERS[(from + i) % LETTERS.length] ?? '');
    this.#turns.push({ texts, atMs: systemClock.now() });
    await this.phone.speak(this.lexicon.speech(texts));
  }

  /** The agent has spoken since the caller did, and has finished. */
  answered(quietMs = QUIET_MS): Promise<boolean> {
    return this.phone.untilQuiet(quietMs);
  }

  of<T extends CallEvent['type']>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** How often the caller has spoken. */
  get turns(): number {
    return this.#turns.length;
  }

  /** What the service has written down of the agent, in words. */
  get said(): string[] {
    const [ended] = this.of('ended');
    return (ended?.transcript ?? []).flatMap((entry) =>
      entry.role === 'assistant' ? wordsIn(entry.text) : [],
    );
  }

  /** How often the sessions were asked to speak for this reason. */
  asked(kind: string): number {
    return this.sessions.flatMap(({ questions }) => questions).filter((question) => question.kind === kind)
      .length;
  }

  /** Resolves when no session is open any more. */
  async sessionsClosed(): Promise<void> {
    await Promise.all(this.sessions.map(({ closed }) => closed));
  }

  /** How often another session has taken the call over. */
  get changes(): readonly EventOf<'providerReady'>[] {
    return this.of('providerReady').filter(({ why }) => why !== 'start');
  }

  /** Resolves as soon as `find` finds something; looked at whenever the service tells something. */
  until<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  event<T extends CallEvent['type']>(
    type: T,
    accept: (event: EventOf<T>) => boolean = () => true,
  ): Promise<EventOf<T>> {
    return this.until(() => this.of(type).find(accept));
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      systemClock.after(ms, resolve);
    });
  }

  /** Of all providers. */
  get sessions(): readonly ActorSession[] {
    return this.actors.flatMap(({ sessions }) => sessions);
  }

  /** The caller hangs up. */
  async hangUp(): Promise<CallReport> {
    this.#report ??= await this.phone.hangUp();
    await this.event('ended');
    return this.#report;
  }

  /** Words that may have been misheard because this machine was held up, by the phone's own account. */
  get doubtful(): number {
    const { lateTicks, underruns } = this.#report ?? { lateTicks: 0, underruns: 0 };
    return underruns + Math.floor(lateTicks / LATE_TICKS_A_WORD);
  }

  get endReason(): string | undefined {
    return this.of('ended')[0]?.reason;
  }

  /** Takes a tenth of a second of this process, so not while others talk. */
  judge(): Heard {
    const { lexicon, phone } = this;
    const agent = readWords(decodeG711('mulaw', phone.heard), lexicon.agents);
    const sessions = this.sessions.map((session) => ({
      questions: session.questions,
      words: readWords(session.received(), lexicon.caller),
    }));
    const said = [...new Set(this.#turns.flatMap(({ texts }) => texts))];
    const last = Math.max(...agent.map(({ text }) => (NUMBERS as readonly string[]).indexOf(text)), -1);
    return {
      agent,
      lost: missing(
        said,
        sessions.flatMap(({ words }) => words),
      ),
      unheard: this.#turns.flatMap(({ texts, atMs }) =>
        missing(texts, firstAsked(sessions, atMs)?.words ?? []),
      ),
      twice: repeated(agent),
      skipped: missing(NUMBERS.slice(0, last + 1), agent),
    };
  }

  /** What the service reports as used. */
  get billed(): readonly Usage[] {
    return this.of('usage').map(({ usage }) => usage);
  }

  /** All that matters, to understand a failure. */
  trace(): string {
    const events = this.events
      .filter(({ type }) => type !== 'usage')
      .map((event) => JSON.stringify(event).slice(0, 400));
    const sessions = this.sessions.map((session) =>
      session.questions
        .map(({ kind, session: index, said }) => `${kind}@${index} after ${said.join(' ')}`)
        .join('; '),
    );
    return [...events, ...sessions].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.close();
    await this.#exchange?.[Symbol.asyncDispose]();
    await Promise.all(this.actors.map((actor) => actor[Symbol.asyncDispose]()));
  }

  async #begin(options: TalkOptions): Promise<void> {
    const { carrier = 'twilio', route = 'voice', tools = [], actors } = options;
    const account = newAccount(carrier);
    this.#exchange = await startExchange({
      carrier,
      defaults: { accountSid: account.id, authToken: account.secret, ...options.calls },
    });
    const text = { instructions: 'You count.', greeting: HELLO, voice: undefined, language: undefined };
    const agent: Agent = {
      ...voiceAgent({ ...text, audio: 'wideband', maxCallMs: 600_000, silenceMs: 0 }, tools),
      filler: undefined,
      turnDetection: { silenceMs: 500 },
      failover: { ...FAILOVER, answerMs: 3000, gapFiller: undefined },
      ...options.agent,
    };
    this.#bridge = await createBridge({
      config: loadConfig({
        ...Object.fromEntries(settingsFor(carrier, account, this.#exchange.restBaseUrl ?? '')),
        PORT: '0',
        HOST: '127.0.0.1',
        ...options.env,
      }),
      provider: actors.map(({ provider }) => provider),
      agent,
      log: createLog('fatal'),
      observe: (_callId, event) => this.#observe(event),
    });
    const url = await this.#bridge.listen();
    this.phone = this.#exchange.placeCall({
      webhookUrl: `${url}/${route}/${carrier}`,
      statusCallbackUrl: `${url}/status/${carrier}`,
    });
    await this.phone.streaming;
    if (agent.greeting !== undefined) await this.phone.untilQuiet(QUIET_MS);
  }

  #observe(event: CallEvent): void {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }
}
