import { bytesPerMs } from './audio/format.ts';
import type { CallEventBody } from './call-events.ts';
import type { Clock } from './clock.ts';
import { type AskedBy, Asks, type OpenAsk, restOf } from './handover/asks.ts';
import { Gap } from './handover/gap.ts';
import type { OpenItem, OpenResponse } from './handover/open-response.ts';
import { Pace } from './handover/pace.ts';
import { Turn } from './handover/turn.ts';
import {
  continues,
  GO_ON_ANSWERING,
  goOn,
  MISSED_BEGINNING,
  ONLY_HEARD,
  SAY_AGAIN,
  WAITS_FOR_ANSWER,
} from './notices.ts';
import type { HistoryItem, ProviderEvent, ProviderSession } from './provider.ts';
import { cutAtWord, type Transcript } from './transcript.ts';

export interface HandoverOptions {
  readonly clock: Clock;
  readonly transcript: Transcript;
  /** How much of the caller has been heard on this line, in ms. */
  positionMs(): number;
  /** See `Hearing.accountedFor`. */
  accountedFor(upToMs: number): void;
  /** Something of the agent is still to be heard. */
  audible(): boolean;
  /** Items of the agent's speech that are to be heard to their end. */
  toCome(): readonly string[];
  /** Functions that run, as the model has called them. */
  functions(): readonly { readonly name: string; readonly args: string }[];
  emit(event: CallEventBody): void;
  /** The model was asked to speak. */
  onAsked(): void;
}

/** Less voice than this is a noise. */
export const A_WORD_MS = 300;

/** By which a place in a text is known. */
const LAST_WORDS = 8;

/** How the next provider begins. */
export interface Start {
  /** What it was told of the past: see `Handover.history`. */
  readonly told: readonly HistoryItem[];
  readonly replayedMs: number;
  /** The caller speaks at this moment. */
  readonly speaking: boolean;
  /** Nothing is expected of the agent: the caller is put through, or it is a machine. */
  readonly held: boolean;
  /** What the caller said that it cannot be sent. */
  readonly unheardMs: number;
  /** It was just told results that it is to speak of. */
  readonly resultsTold: boolean;
}

/**
 * Keeps what another provider would have to know to go on in the middle of a word: what the caller said that nobody has
 * answered, what the agent was asked for and has not said, and what of its speech the caller is still to hear.
 */
export class Handover {
  readonly turn: Turn;
  readonly gap: Gap;
  readonly #options: HandoverOptions;
  readonly #asks: Asks;
  readonly #responses = new Map<string, OpenResponse>();
  readonly #pace = new Pace();
  #perMs = 1;
  /** Of the session that was lost: */
  #again: OpenAsk[] = [];
  readonly #leftOff = new Set<string>();
  #cutShort = false;
  #noAnswer = false;
  #waitedFor = false;
  /** What those who were dialled were told that the caller is about to hear, by item. */
  readonly #promises = new WeakMap<readonly HistoryItem[], ReadonlyMap<string, string>>();
  /** Of these, what the one in use was told, and was not told better. */
  #promised = new Map<string, string>();
  #session: ProviderSession | undefined;
  /** Of which audio came last. */
  #speaks: OpenItem | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
    this.turn = new Turn(options);
    this.gap = new Gap(options.clock, options.emit);
    this.#asks = new Asks({
      clock: options.clock,
      onAsked: options.onAsked,
      onNote: (as, text) => options.transcript.note(as, text),
    });
  }

  /** Something is asked for or under way, so this is no moment for another provider. */
  get busy(): boolean {
    return this.#asks.pending || this.#responses.size > 0 || this.turn.owed || this.turn.speaking;
  }

  /** The agent owes the caller something to hear, and nobody is there to say it. */
  get owes(): boolean {
    return this.#again.length > 0 || this.#cutShort || this.#noAnswer || this.turn.owed;
  }

  /** The caller waits for the provider that has begun last. */
  get waitedFor(): boolean {
    return this.#waitedFor;
  }

  /** The session for those whose wishes outlive it, and for those whose do not. */
  connect(session: ProviderSession): Readonly<Record<AskedBy, ProviderSession>> {
    this.#perMs = bytesPerMs(session.output);
    const through = (by: AskedBy): ProviderSession => this.#asks.through(session, by);
    return { call: through('call'), moment: through('moment'), handover: through('handover') };
  }

  /** Everything that the provider says, before the conversation hears of it. */
  on(event: ProviderEvent): void {
    switch (event.type) {
      case 'audio':
        this.#onAudio(event.responseId, event.itemId, event.bytes.length);
        break;
      case 'audioDone':
        this.#onAudioDone(event.responseId, event.itemId);
        break;
      case 'transcript':
        if (event.role === 'user' && event.final) this.turn.known(event.itemId);
        break;
      case 'speechStopped':
        if (event.itemId !== undefined) this.turn.named(event.itemId);
        break;
      case 'responseStarted':
        this.#asks.responseStarted(event.responseId, event.asked);
        this.#open(event.responseId, event.asked && !this.#asks.isForLost(event.responseId));
        this.turn.sign();
        break;
      case 'responseDone':
        this.#onDone(event.responseId, event.status === 'completed');
        break;
      case 'toolCall':
        // It is the result that will be spoken of.
        this.turn.answering();
        break;
      default:
    }
  }

  callerSpeaks(): void {
    this.turn.callerSpeaks();
    this.gap.callerSpeaks(this.turn.owed || this.owes);
  }

  callerStopped(): void {
    this.turn.callerStopped();
    this.gap.soundEnded();
  }

  /** The caller has cut in. */
  interrupted(): void {
    this.#asks.interrupted((responseId) => (this.#responses.get(responseId)?.items.size ?? 0) > 0);
    for (const response of this.#responses.values()) response.over = true;
    this.turn.interrupted();
    this.#again = this.#again.filter((ask) => ask.insist);
    this.#cutShort = false;
    this.#noAnswer = false;
  }

  /** What is open of the agent's speech is not heard to its end, whoever wanted that. */
  takenBack(): void {
    for (const [responseId, response] of this.#responses) {
      response.over = true;
      if (response.items.size > 0) this.#asks.cutOff(responseId);
    }
    this.#correct();
  }

  /** The session is gone: what is open of it will not be finished. */
  lost(): void {
    this.#session = undefined;
    this.#leftOff.clear();
    const asks = this.#asks.take();
    for (const [responseId, response] of this.#responses) {
      if (!response.over) this.#leaveOff(responseId, response, asks);
    }
    this.#again.push(...asks);
    this.#responses.clear();
    this.gap.lost();
  }

  #leaveOff(responseId: string, { asked, items }: OpenResponse, asks: OpenAsk[]): void {
    const { transcript } = this.#options;
    for (const [itemId, { bytes, done, writtenAt }] of items) {
      this.#leftOff.add(itemId);
      const ms = bytes / this.#perMs;
      const { length } = transcript.textOf(itemId);
      transcript.broken(itemId, done ? length : this.#pace.said(length, ms, writtenAt / this.#perMs));
    }
    const whole = items.size > 0 && [...items.values()].every((item) => item.done);
    const ask = asks.findIndex((one) => one.responseId === responseId);
    if (whole) {
      // Only the word that it is over did not come.
      if (ask >= 0) asks.splice(ask, 1);
      if (!asked) this.turn.answered();
    } else if (ask >= 0) {
      this.#keepAsk(asks, ask, items);
    } else if (items.size > 0) {
      this.#cutShort = true;
    } else if (!asked) {
      this.#noAnswer = true;
    }
  }

  /** The conversation as the next provider is told it. @param catchUp it can be sent what the caller has just said */
  history(catchUp: boolean): HistoryItem[] {
    const { transcript, functions } = this.#options;
    const items = this.#toCome();
    const text = continues(functions());
    const history: HistoryItem[] = [
      ...transcript.history(items, !catchUp),
      { type: 'message', role: 'system', text },
    ];
    this.#promises.set(history, new Map([...items].map((itemId) => [itemId, transcript.textOf(itemId)])));
    return history;
  }

  /**
   * Another session is there: has it say what the caller waits for. Returns whether it has something to say.
   * @param session that of `handover`
   */
  begin(session: ProviderSession, start: Start): boolean {
    this.#session = session;
    this.#promised = new Map(this.#promises.get(start.told));
    this.#correct();
    const again = this.#again.splice(0);
    const waits = !start.speaking && !start.held;
    const speaks = waits ? this.#goOn(session, again, start) : sayLater(session, again, start);
    this.#cutShort = false;
    this.#noAnswer = false;
    this.#waitedFor = waits && speaks;
    return speaks;
  }

  /** Returns whether the caller is owed something. */
  #goOn(
    session: ProviderSession,
    again: readonly OpenAsk[],
    { replayedMs, unheardMs, resultsTold }: Start,
  ): boolean {
    const { functions } = this.#options;
    const texts = again.filter((ask) => ask.text !== undefined);
    for (const { text = '', insist } of texts) session.say(text, insist);
    if (replayedMs > 0 && this.#cutShort) {
      session.sendText(GO_ON_ANSWERING, { role: 'system', respond: false });
    }
    // Replayed, it hears the question itself, and answers it.
    if (texts.length > 0 || resultsTold || replayedMs > 0) return true;
    // Their results will be spoken of; what the caller has said since they were called is another matter.
    if (functions().length > 0 && !this.turn.owed) return false;
    const prompt = this.#prompt(again, unheardMs);
    if (prompt !== undefined) session.sendText(prompt, { role: 'system', respond: true });
    return prompt !== undefined;
  }

  /** What it has to be told so that it speaks; undefined: it is not its turn. */
  #prompt(again: readonly OpenAsk[], unheardMs: number): string | undefined {
    const [ask] = again;
    if (this.#cutShort) return goOn(this.#lastHeard());
    if (ask !== undefined) return ask.prompt ?? WAITS_FOR_ANSWER;
    if (!this.turn.owed && !this.#noAnswer) return undefined;
    if (this.#hasQuestion()) return WAITS_FOR_ANSWER;
    return unheardMs >= A_WORD_MS || this.#noAnswer ? SAY_AGAIN : undefined;
  }

  /** What was left off is as good as heard: as far as it was played, nobody tells of its end. */
  #toCome(): ReadonlySet<string> {
    return new Set([...this.#options.toCome(), ...this.#leftOff]);
  }

  /** The end of what the agent has said: a session that is taken up again may not know how far it came. */
  #lastHeard(): string {
    const last = this.#options.transcript
      .history(this.#toCome())
      .findLast((item) => item.type === 'message' && item.role === 'assistant');
    return last?.type === 'message' ? last.text.split(/\s+/).slice(-LAST_WORDS).join(' ') : '';
  }

  /** What was said last is the caller's, or a result. */
  #hasQuestion(): boolean {
    const last = this.#options.transcript
      .history()
      .findLast((item) => item.type === 'tool' || item.role !== 'system');
    return last !== undefined && (last.type === 'tool' || last.role === 'user');
  }

  /** What it was told that the caller would hear, and they have not. */
  #correct(): void {
    if (this.#session === undefined) return;
    for (const [itemId, promised] of this.#promised) {
      const heard = this.#options.transcript.textOf(itemId);
      if (heard === promised) continue;
      this.#promised.delete(itemId);
      const text = `${ONLY_HEARD} ${JSON.stringify(heard)}`;
      this.#session.sendText(text, { role: 'system', respond: false });
    }
  }

  /** Audio of the item that the last event was of. */
  more(bytes: number): void {
    if (this.#speaks !== undefined) this.#speaks.bytes += bytes;
  }

  #onAudio(responseId: string, itemId: string, bytes: number): void {
    const response = this.#responses.get(responseId) ?? this.#open(responseId, false);
    const item = response.items.get(itemId) ?? { bytes: 0, done: false, characters: 0, writtenAt: 0 };
    response.items.set(itemId, item);
    this.#speaks = item;
    const { length } = this.#options.transcript.textOf(itemId);
    if (length > item.characters) item.writtenAt = item.bytes;
    item.characters = length;
    item.bytes += bytes;
    // What is left of an answer that was cut off answers nothing.
    if (!response.asked && !response.over) this.turn.answering();
    this.turn.sign();
    this.gap.heard(this.#options.audible());
  }

  #onAudioDone(responseId: string, itemId: string): void {
    const item = this.#responses.get(responseId)?.items.get(itemId);
    if (item !== undefined) item.done = true;
  }

  #onDone(responseId: string, completed: boolean): void {
    const response = this.#responses.get(responseId);
    this.#responses.delete(responseId);
    this.#asks.responseDone(responseId);
    if (response !== undefined && completed) {
      if (!response.asked) this.turn.answered();
      for (const [itemId, { bytes, characters: atTheEnd, writtenAt }] of response.items) {
        const { length: characters } = this.#options.transcript.textOf(itemId);
        const writtenAtMs = writtenAt / this.#perMs;
        this.#pace.learn({ characters, ms: bytes / this.#perMs, atTheEnd, writtenAtMs });
      }
    }
    this.turn.sign();
  }

  #open(responseId: string, asked: boolean): OpenResponse {
    const response: OpenResponse = { asked, items: new Map(), over: false };
    this.#responses.set(responseId, response);
    return response;
  }

  /** Of a text that was given, only the rest is to be said; in the model's own words it goes on as well as it can. */
  #keepAsk(asks: OpenAsk[], at: number, items: OpenResponse['items']): void {
    const ask = asks[at];
    if (ask === undefined) return;
    if (ask.text === undefined) {
      asks.splice(at, 1);
      if (items.size > 0) this.#cutShort = true;
      else this.#noAnswer = true;
      return;
    }
    const heard = this.#heardOf(ask.text, items);
    const text = restOf(ask.text, heard);
    if (text === '') asks.splice(at, 1);
    else asks[at] = { ...ask, text };
  }

  /** What of a given text there is audio for: as the provider has written it down, or by its length. */
  #heardOf(text: string, items: OpenResponse['items']): string {
    const written = [...items.keys()].map((itemId) => this.#options.transcript.textOf(itemId)).join(' ');
    if (written.trim() !== '') return written;
    let ms = 0;
    for (const { bytes } of items.values()) ms += bytes / this.#perMs;
    return cutAtWord(text, this.#pace.said(text.length, ms, 0) / text.length);
  }
}

/**
 * The caller speaks, or does not listen: what has to be said waits for its turn at the provider; anything else is out of
 * date. Returns whether there was something.
 */
function sayLater(session: ProviderSession, again: readonly OpenAsk[], start: Start): boolean {
  if (start.speaking && !start.held && start.replayedMs === 0 && start.unheardMs >= A_WORD_MS) {
    session.sendText(MISSED_BEGINNING, { role: 'system', respond: false });
  }
  const texts = again.flatMap(({ text, insist }) => (insist && text !== undefined ? [text] : []));
  for (const text of texts) session.say(text, true);
  return texts.length > 0;
}
