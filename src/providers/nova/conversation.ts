import type { Cancel, Clock } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { HeardItem, ProviderEvent, ResponseStatus, TextOptions, ToolResult } from '../../provider.ts';
import { codeWord } from '../common/limits.ts';
import { CallerWords } from './caller-words.ts';
import { Calls } from './calls.ts';
import { toolNote } from './history.ts';
import { Requests } from './requests.ts';
import { GO_ON, NOT_RUN, quietText, resultJson, sayText, textFor } from './texts.ts';
import { isFull, plan, type Sentence, type Turn, Turns } from './turns.ts';
import type { ServerEvent, StopReason } from './wire.ts';

export interface ConversationPorts {
  readonly clock: Clock;
  readonly language: string | undefined;
  readonly transcribeCaller: boolean;
  /** Puts one whole block of interactive text to the model. */
  sendText(text: string): void;
  /** @param content JSON */
  sendResult(toolUseId: string, content: string): void;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
}

/** Calls that are made together come at once; a turn that only waits for them is over then. */
const CALLS_TOGETHER_MS = 250;
/** Texts of ours that the service may give back as words of the caller. */
const MOST_ECHOES = 16;

/** What is said on a session that stands: the caller's words, the agent's turns, function calls. */
export class Conversation {
  readonly #ports: ConversationPorts;
  readonly #requests: Requests;
  readonly #turns: Turns;
  readonly #caller: CallerWords;
  readonly #calls = new Calls();
  readonly #sentTexts: string[] = [];
  /** The turn whose spoken words came last: they may come when the next turn has begun. */
  #saidTurn: Turn | undefined;
  #callsTimer: Cancel | undefined;
  /** Answers in a row that did not come. */
  #lost = 0;
  /** Warnings that are given once. */
  readonly #given = new Set<string>();
  #closed = false;

  constructor(ports: ConversationPorts) {
    this.#ports = ports;
    this.#requests = new Requests({
      clock: ports.clock,
      send: (text) => this.#send(text),
      nudge: () => GO_ON,
      lost: (ms, open) => this.#onLost(ms, open),
    });
    this.#caller = new CallerWords({
      emit: (itemId, text, final) => ports.emit({ type: 'transcript', role: 'user', itemId, text, final }),
      dropped: () => this.#onWordsDropped(),
    });
    this.#turns = new Turns(({ id }, text) =>
      ports.emit({ type: 'transcript', role: 'assistant', itemId: id, text, final: true }),
    );
  }

  handle(event: ServerEvent): void {
    switch (event.type) {
      case 'audio':
        this.#onAudio(event.contentId, event.bytes);
        return;
      case 'words':
        this.#onWords(event);
        return;
      case 'contentStart':
        this.#onContentStart(event);
        return;
      case 'contentEnd':
        this.#onContentEnd(event);
        return;
      case 'call':
        this.#onCall(event);
        return;
      case 'interrupted':
        this.#onInterrupted();
        return;
      // Of a prompt, or of each of its turns: either way no turn is open at that moment (unsure which it is; pipecat and
      // strands-agents read nothing out of these two).
      case 'completionStart':
      case 'completionEnd':
        this.#caller.over();
        this.#end('completed', undefined);
        return;
      case 'usage':
        this.#ports.emit({ type: 'usage', usage: event.usage });
        return;
      default:
        assertNever(event);
    }
  }

  sendText(text: string, options: TextOptions): void {
    const words = textFor(text, options);
    if (words === '') return;
    if (options.respond) this.#requests.request({ text: words, kind: 'plain', insist: false });
    else this.#requests.request({ text: quietText(words), note: words, kind: 'quiet', insist: false });
  }

  say(text: string, insist: boolean): void {
    if (text.trim() === '') return;
    this.#requests.request({ text: sayText(text, this.#ports.language), kind: 'say', insist });
  }

  /** Puts a turn of the caller to the model that nobody has answered. */
  answer(text: string): void {
    this.#requests.request({ text, kind: 'plain', insist: false });
  }

  sendToolResult(callId: string, result: ToolResult): void {
    const answered = this.#calls.isAnswered(callId);
    if (answered === undefined) {
      this.#tellOfCall(callId, result);
    } else if (answered) {
      this.#warn('tool_answered_twice', `call ${codeWord(callId, '?')} has a result already`);
    } else {
      this.#answerCall(callId, result);
    }
  }

  /** Nothing can be called off at the service, so what is left of the turn is dropped here, and nothing after it. */
  interrupt(heard: readonly HeardItem[]): void {
    for (const { itemId } of heard) {
      const sentence = this.#turns.byId(itemId);
      if (sentence === undefined) continue;
      sentence.cut = true;
      // The service may find out later, which is then no news.
      if (sentence.turn === this.#turns.last) sentence.turn.interrupted = true;
    }
    this.#requests.doom();
    const turn = this.#turns.open;
    if (turn === undefined || turn.discarded) return;
    turn.discarded = true;
    turn.interrupted = true;
    this.#requests.unwanted(turn.sentences.every((sentence) => sentence.received === 0));
  }

  /** Nothing is sent any more; the caller may have a last word. */
  close(): void {
    this.#closed = true;
    this.#caller.over();
    this.#callsTimer?.();
    this.#requests.close();
  }

  #send(text: string): void {
    this.#sentTexts.push(text.trim());
    if (this.#sentTexts.length > MOST_ECHOES) this.#sentTexts.shift();
    this.#ports.sendText(text);
  }

  #warn(code: string, message: string): void {
    this.#ports.emit({ type: 'warning', code, message });
  }

  #warnOnce(code: string, message: string): void {
    if (this.#given.has(code)) return;
    this.#given.add(code);
    this.#warn(code, message);
  }

  #onWordsDropped(): void {
    this.#warnOnce('words_dropped', 'a turn has more words than are kept');
  }

  #answerCall(callId: string, result: ToolResult): void {
    this.#calls.answered(callId);
    this.#ports.sendResult(callId, resultJson(result));
    this.#requests.resultSent(result.respond);
    this.#endAnswered();
  }

  /** What comes after the last result is an answer of its own, which was asked for, however soon it comes. */
  #endAnswered(): void {
    const turn = this.#turns.open;
    if (turn === undefined || turn.discarded || !this.#calls.allAnswered) return;
    if (turn.sentences.every((one) => one.complete)) this.#end('completed', undefined);
  }

  /** A call of the session before this one: only text can tell of it, since its id means nothing here. */
  #tellOfCall(callId: string, { call, output, respond }: ToolResult): void {
    const words =
      call === undefined ? toolNote(callId, '{}', output) : toolNote(call.name, call.args, output);
    this.sendText(words.slice(1, -1), { role: 'system', respond });
    this.#calls.answered(callId);
  }

  /** The turn that output belongs to; a new one when none is open. */
  #turn(): Turn {
    this.#callsTimer?.();
    this.#requests.alive();
    const open = this.#turns.open;
    if (open !== undefined && !isFull(open)) return open;
    this.#end('completed', undefined);
    this.#caller.over();
    this.#lost = 0;
    const { asked, hidden } = this.#requests.began();
    const turn = this.#turns.begin(hidden);
    if (!hidden) this.#ports.emit({ type: 'responseStarted', responseId: turn.id, asked });
    return turn;
  }

  #onContentStart({ contentId, kind }: Extract<ServerEvent, { type: 'contentStart' }>): void {
    // Blocks come one after the other: the end of the one before was lost if it was not told.
    this.#caller.over();
    switch (kind) {
      case 'heard':
        // The caller's words come before the answer to them: what was given up is over, whether that was told or not.
        if (this.#turns.open?.discarded) this.#end('cancelled', 'superseded');
        return;
      case 'planned':
      case 'call':
        this.#turn();
        return;
      case 'speech':
        this.#turns.spoken(this.#turn(), contentId);
        return;
      case 'said':
        this.#requests.alive();
        return;
      default:
        assertNever(kind);
    }
  }

  #onWords({ contentId, kind, text }: Extract<ServerEvent, { type: 'words' }>): void {
    if (kind === 'heard') {
      this.#onHeard(contentId, text);
    } else if (kind === 'planned') {
      this.#onPlanned(contentId, text);
    } else {
      this.#saidTurn = this.#turns.said(text);
    }
  }

  #onHeard(contentId: string, text: string): void {
    const echoed = this.#sentTexts.indexOf(text.trim());
    if (echoed >= 0) {
      this.#sentTexts.splice(echoed, 1);
      return;
    }
    this.#requests.heard();
    if (this.#ports.transcribeCaller) this.#caller.piece(contentId, text);
  }

  #onPlanned(contentId: string, text: string): void {
    const turn = this.#turn();
    const sentence = this.#turns.planned(turn, contentId);
    const piece = plan(sentence, text);
    if (piece.length < text.length) this.#onWordsDropped();
    if (piece === '' || turn.discarded) return;
    this.#ports.emit({
      type: 'transcript',
      role: 'assistant',
      itemId: sentence.id,
      text: piece,
      final: false,
    });
  }

  #onAudio(contentId: string, bytes: Uint8Array): void {
    const sentence = this.#turns.bySpeech(contentId) ?? this.#turns.spoken(this.#turn(), contentId);
    const { turn } = sentence;
    this.#requests.alive();
    // Speech of a turn that is over, or was cut off, may still come for a moment.
    if (turn.discarded || turn.done) return;
    if (bytes.length === 0) return;
    sentence.received += bytes.length;
    this.#ports.emit({ type: 'audio', responseId: turn.id, itemId: sentence.id, bytes });
  }

  #onContentEnd({ contentId, kind, stop }: Extract<ServerEvent, { type: 'contentEnd' }>): void {
    switch (kind) {
      case 'heard':
        this.#caller.over();
        return;
      case 'speech':
        this.#onSpeechEnd(contentId, stop);
        return;
      case 'planned':
      case 'said':
        this.#onTextEnd(stop);
        return;
      case 'call':
        if (this.#turns.open !== undefined) this.#endAfterCalls();
        return;
      default:
        assertNever(kind);
    }
  }

  #onSpeechEnd(contentId: string, stop: StopReason): void {
    const sentence = this.#turns.bySpeech(contentId);
    if (sentence !== undefined) this.#complete(sentence);
    if (stop === 'interrupted') this.#onInterrupted();
    // Its spoken words are told later, when the service thinks that they have been heard.
    else if (stop === 'end' && sentence?.turn === this.#turns.open) this.#end('completed', undefined);
  }

  #onTextEnd(stop: StopReason): void {
    if (stop === 'interrupted') this.#onInterrupted();
    const turn = this.#saidTurn;
    if (stop !== 'end' || turn === undefined) return;
    // Its speech has ended, or it has none: some of it may be on its way still.
    if (turn === this.#turns.open && turn.sentences.every((one) => one.complete))
      this.#end('completed', undefined);
    if (turn.done) this.#turns.tellAll(turn);
  }

  #onInterrupted(): void {
    const turn = this.#turns.last;
    if (turn === undefined) return;
    const news = !turn.interrupted && !turn.hidden;
    const open = !turn.done;
    turn.interrupted = true;
    turn.discarded = true;
    if (open) this.#requests.unwanted(turn.sentences.every((sentence) => sentence.received === 0));
    // Before the end of the turn: whoever hears of it gives up everything that is under way.
    if (news) this.#ports.emit({ type: 'interrupted', responseId: turn.id });
    if (open) this.#end('cancelled', 'interrupted');
    this.#turns.tellAll(turn);
  }

  #onCall({ callId, name, args }: Extract<ServerEvent, { type: 'call' }>): void {
    if (this.#calls.isAnswered(callId) !== undefined) return;
    if (!this.#calls.begin(callId)) {
      this.#warnOnce('calls_dropped', 'more functions were called than can wait for results');
      return;
    }
    const turn = this.#turn();
    // Also of a turn that the caller cut off: an interruption does not call functions off.
    if (turn.hidden) this.#answerCall(callId, NOT_RUN);
    else this.#ports.emit({ type: 'toolCall', responseId: turn.id, callId, name, args });
    this.#endAfterCalls();
  }

  // The service may well go on while functions run, or wait for all of them; nobody who waits for the end of the turn can
  // wait for that.
  #endAfterCalls(): void {
    this.#callsTimer?.();
    if (this.#closed) return;
    this.#callsTimer = this.#ports.clock.after(CALLS_TOGETHER_MS, () => this.#end('completed', undefined));
  }

  #complete(sentence: Sentence): void {
    if (sentence.complete) return;
    sentence.complete = true;
    const { turn, received } = sentence;
    if (turn.discarded || turn.done || received === 0) return;
    this.#ports.emit({ type: 'audioDone', responseId: turn.id, itemId: sentence.id });
  }

  /** The open turn is over, if there is one. */
  #end(status: ResponseStatus, reason: string | undefined): void {
    this.#callsTimer?.();
    const turn = this.#turns.open;
    if (turn === undefined) return;
    for (const sentence of turn.sentences) this.#complete(sentence);
    turn.done = true;
    if (turn.discarded) this.#turns.tellAll(turn);
    if (!turn.hidden) {
      const cut = turn.discarded && status === 'completed';
      this.#ports.emit({
        type: 'responseDone',
        responseId: turn.id,
        status: cut ? 'cancelled' : status,
        reason: cut ? 'interrupted' : reason,
      });
    }
    this.#requests.ended();
  }

  // A service that keeps the stream up and does not answer any more; asking it twice is enough.
  #onLost(ms: number, open: boolean): void {
    const wanted = !open || this.#turns.open?.discarded !== true;
    if (open) this.#end(wanted ? 'failed' : 'cancelled', 'lost');
    if (!wanted) return;
    const message = `no sign of the answer under way for ${ms} ms`;
    this.#lost += 1;
    if (this.#lost > 1) {
      this.#ports.fail(new BridgeError('PROVIDER_UNAVAILABLE', `${message}, and not for the first time`));
    } else {
      this.#warn('response_lost', message);
    }
  }
}
