import type { Clock } from '../clock.ts';
import type { ProviderSession } from '../provider.ts';

/** Something that the bridge has asked the agent to say, of which nothing has been heard yet, or not all. */
interface Ask {
  /** Undefined: the model chooses its words. */
  readonly text: string | undefined;
  readonly insist: boolean;
  /** What it was told, for an answer in its own words that nothing else in the conversation would lead to. */
  readonly prompt: string | undefined;
  /** Asked of the next provider too, if this one dies over it. */
  readonly lasting: boolean;
  /** What it is to speak of is the result of a function. */
  readonly ofResult: boolean;
  readonly at: number;
}

/** What was asked for so long ago was dropped without a word, or is out of date. */
const STALE_MS = 20_000;

/**
 * Whose wishes they are. `call`: they belong to the conversation; `moment`: they are out of date when the provider is
 * lost; `handover`: they are asked of the next one too, but are no part of the conversation.
 */
export type AskedBy = 'call' | 'moment' | 'handover';

/** What the next provider is asked for. */
export interface OpenAsk {
  /** Undefined: an answer in the model's own words. */
  readonly text: string | undefined;
  readonly insist: boolean;
  readonly prompt: string | undefined;
  /** The response in which it was being said. */
  readonly responseId: string | undefined;
}

export interface AsksOptions {
  readonly clock: Clock;
  /** The model was asked to speak. */
  onAsked(): void;
  /** The model was told something that belongs to the conversation. */
  onNote(as: 'user' | 'system', text: string): void;
}

/** What the bridge has asked of the provider, in order, so that it can be asked of another one. */
export class Asks {
  readonly #options: AsksOptions;
  #waiting: Ask[] = [];
  readonly #begun = new Map<string, Ask>();

  constructor(options: AsksOptions) {
    this.#options = options;
  }

  /** The session as these use it. */
  through(session: ProviderSession, by: AskedBy): ProviderSession {
    const lasting = by !== 'moment';
    return {
      // By name: what a session is made of is its own matter.
      input: session.input,
      output: session.output,
      sendAudio: (bytes) => session.sendAudio(bytes),
      interrupt: (heard) => session.interrupt(heard),
      close: (reason) => session.close(reason),
      say: (text, insist = false) => {
        this.#ask({ text, insist, prompt: undefined, lasting, ofResult: false });
        session.say(text, insist);
      },
      sendText: (text, options) => {
        if (by === 'call') this.#options.onNote(options.role, text);
        const prompt = by === 'handover' ? text : undefined;
        if (options.respond) this.#ask({ text: undefined, insist: false, prompt, lasting, ofResult: false });
        session.sendText(text, options);
      },
      sendToolResult: (callId, result) => {
        // Results are part of the conversation, so what is owed is an answer.
        if (result.respond) this.#askOfResult();
        session.sendToolResult(callId, result);
      },
    };
  }

  responseStarted(responseId: string, asked: boolean): void {
    const first = asked ? this.#waiting.shift() : undefined;
    if (first !== undefined) this.#begun.set(responseId, first);
  }

  responseDone(responseId: string): void {
    this.#begun.delete(responseId);
  }

  /** This response is what the next provider was asked for in the place of an answer of the one before. */
  isForLost(responseId: string): boolean {
    return this.#begun.get(responseId)?.prompt !== undefined;
  }

  /** What was said in this response was cut off, and is not asked for any more. */
  cutOff(responseId: string): void {
    this.#begun.delete(responseId);
  }

  /** The caller has cut in: what has not begun is given up, but for what has to be said. @param spoken of this something was heard */
  interrupted(spoken: (responseId: string) => boolean): void {
    const unheard = [...this.#begun].flatMap(([responseId, ask]) => (spoken(responseId) ? [] : [ask]));
    this.#waiting = [...unheard, ...this.#waiting].filter((ask) => ask.insist);
    this.#begun.clear();
  }

  get pending(): boolean {
    this.#forget();
    return this.#waiting.length > 0 || this.#begun.size > 0;
  }

  /** The session is gone: what is still to be said, in order. `responseId` is set for what was being said. */
  take(): OpenAsk[] {
    this.#forget();
    const open: OpenAsk[] = [];
    for (const [responseId, ask] of this.#begun) if (ask.lasting) open.push(openAsk(ask, responseId));
    for (const ask of this.#waiting) if (ask.lasting) open.push(openAsk(ask, undefined));
    this.#waiting = [];
    this.#begun.clear();
    return open;
  }

  #forget(): void {
    const since = this.#options.clock.now() - STALE_MS;
    this.#waiting = this.#waiting.filter((ask) => ask.at > since);
  }

  /** Of functions that were called together the model speaks once, when it knows all results. */
  #askOfResult(): void {
    if (this.#waiting.at(-1)?.ofResult) this.#options.onAsked();
    else this.#ask({ text: undefined, insist: false, prompt: undefined, lasting: true, ofResult: true });
  }

  #ask(ask: Omit<Ask, 'at'>): void {
    this.#waiting.push({ ...ask, at: this.#options.clock.now() });
    this.#options.onAsked();
  }
}

function openAsk({ text, insist, prompt }: Ask, responseId: string | undefined): OpenAsk {
  return { text, insist, prompt, responseId };
}

/** What of `text` has not been heard, if `heard` is how it began: the same number of words is left out. */
export function restOf(text: string, heard: string): string {
  const said = wordsOf(heard).length;
  return wordsOf(text).slice(said).join(' ');
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
