import type { Cancel, Clock } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { HeardItem, ProviderEvent, TextOptions, ToolResult } from '../../provider.ts';
import { type Fields, isFields } from '../common/fields.ts';
import { codeWord } from '../common/limits.ts';
import { CallerWords } from './caller-words.ts';
import { type Call, Calls } from './calls.ts';
import { OUTPUT } from './facts.ts';
import type { Generation } from './generations.ts';
import { Requests, type Wanted } from './requests.ts';
import type { SetupShape } from './setup.ts';
import { earlierResult, heardText, OPENINGS, sayText, textFor, turn } from './texts.ts';
import { Turns } from './turns.ts';
import { UsageMeter } from './usage.ts';
import type { ServerEvent } from './wire.ts';

export interface ConversationPorts {
  readonly clock: Clock;
  readonly generation: Generation;
  readonly shape: SetupShape;
  readonly language: string | undefined;
  /** Results carry the id of their call. */
  readonly tellsIds: boolean;
  /** Results of functions that do not block may say when the model is to speak of them. */
  readonly tellsScheduling: boolean;
  readonly correctHeard: boolean;
  /** The answer to a result that was to be told quietly is kept from the caller where the service gives one. */
  readonly quietResults: boolean;
  /** Begins every id: those of one call must not meet those of the session before. */
  readonly idPrefix: string;
  send(message: Fields): void;
  /** The model stands still for a function, or goes on. */
  holdAudio(on: boolean): void;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
}

/** What concerns the conversation, and not the connection. */
export type Conversational = Exclude<
  ServerEvent,
  { readonly type: 'ready' | 'error' | 'goAway' | 'resumption' | 'unknown' }
>;

const NOBODY_ASKED = { error: 'not run: the caller interrupted' };
const CANCELLED = { error: 'cancelled' };
const LONGEST_SPEECH_MS = 30_000;

/** What is said on a session that stands: turns, requests, function calls, what was heard. */
export class Conversation {
  readonly #ports: ConversationPorts;
  readonly #turns: Turns;
  readonly #requests: Requests;
  readonly #caller: CallerWords;
  readonly #calls: Calls;
  readonly #usage = new UsageMeter();
  #ids = 0;
  /** What the answer that is open was asked with. */
  #wanted: Wanted | undefined;
  /** When the caller last cut in. */
  #cutAt = Number.NEGATIVE_INFINITY;
  #toolResultAt = Number.NEGATIVE_INFINITY;
  #losses = 0;
  /** Warnings that are given once. */
  readonly #given = new Set<string>();
  #closed = false;
  /** `speechStarted` was told, `speechStopped` not yet. */
  #speechTimer: Cancel | undefined;

  constructor(ports: ConversationPorts) {
    const { clock, generation, emit } = ports;
    this.#ports = ports;
    this.#calls = new Calls(
      () => this.#nextId('call'),
      () => this.#warnOnce('calls_dropped', 'more functions were called than can wait for results'),
    );
    this.#requests = new Requests({
      clock,
      tellsSilently: generation.clientContent,
      busy: () => this.#turns.busy || this.#calls.blocking > 0,
      ask: (text, notes) => this.#ask(text, notes),
      tell: (notes) => this.#tell(notes),
      warn: (code, message) => this.#warn(code, message),
      dead: (ms) => this.#onDead(ms),
    });
    this.#turns = new Turns({
      clock,
      emit,
      nextId: (kind) => this.#nextId(kind),
      begins: () => this.#onBegin(),
      over: () => this.#requests.pump(),
      misled: (heard, atOnce) => this.#onMisled(heard, atOnce),
      lost: (ms) => this.#onLost(ms),
      dropped: () => this.#onWordsDropped(),
    });
    this.#caller = new CallerWords({
      clock,
      transcribes: ports.shape.transcribesCaller,
      nextId: () => this.#nextId('user'),
      emit: (itemId, text, final) => emit({ type: 'transcript', role: 'user', itemId, text, final }),
      dropped: () => this.#onWordsDropped(),
    });
  }

  /** When a result was last told; for judging what the service says about it. */
  get toolResultAt(): number {
    return this.#toolResultAt;
  }

  handle(event: Conversational): void {
    switch (event.type) {
      case 'audio':
        this.#onAudio(event.bytes, event.rate);
        return;
      case 'written':
        this.#warnOnce('answered_in_text', 'the model wrote its answer instead of speaking it');
        return;
      case 'words':
        this.#onWords(event.role, event.text);
        return;
      case 'generated':
        this.#losses = 0;
        this.#turns.generated();
        return;
      case 'interrupted':
        this.#onInterrupted();
        return;
      case 'turnComplete':
        this.#onTurnComplete(event.reason);
        return;
      case 'toolCall':
        this.#onToolCall(event);
        return;
      case 'toolCallsCancelled':
        this.#onCancelled(event.ids);
        return;
      case 'usage': {
        const usage = this.#usage.count(event.usage);
        if (usage !== undefined) this.#ports.emit({ type: 'usage', usage });
        return;
      }
      case 'activity':
        if (event.started) this.#onSpeech();
        else this.#closeSpeech();
        return;
      default:
        assertNever(event);
    }
  }

  sendText(text: string, options: TextOptions): void {
    const words = textFor(text, options);
    if (words === '') return;
    if (options.respond) this.#requests.ask({ text: words, isSpeech: false, insist: false });
    else this.#requests.note(words);
  }

  say(text: string, insist: boolean): void {
    if (text.trim() === '') return;
    this.#requests.ask({ text: sayText(text, this.#ports.language), isSpeech: true, insist });
  }

  /** Has the model speak of what is already in the conversation. @param sent the history has asked for it by itself */
  respond(move: keyof typeof OPENINGS, sent: boolean): void {
    const wanted = { text: OPENINGS[move], isSpeech: false, insist: false };
    if (sent) this.#requests.asked(wanted);
    else this.#requests.ask(wanted);
  }

  sendToolResult(callId: string, result: ToolResult): void {
    const call = this.#calls.find(callId);
    if (call === undefined) {
      this.#tellOfCall(callId, result);
    } else if (call.state === 'open') {
      this.#answer(call, responseOf(result), result.respond, 'answered');
    } else if (call.state === 'answered') {
      this.#warn('tool_answered_twice', `call ${codeWord(callId, '?')} has a result already`);
    } else {
      // The service was told when it withdrew the call, and hears the rest of it no more.
      call.state = 'answered';
    }
  }

  interrupt(heard: readonly HeardItem[]): void {
    this.#cutAt = this.#ports.clock.now();
    this.#requests.doom();
    const wanted = this.#wanted;
    if (this.#turns.cut(heard) && wanted !== undefined) this.#requests.unheard(wanted);
    this.#caller.cutIn();
  }

  /** Nothing is sent any more; the caller may have a last word. */
  close(): void {
    this.#closed = true;
    this.#caller.close();
    this.#requests.close();
    this.#turns.close();
    this.#speechTimer?.();
  }

  #nextId(kind: string): string {
    this.#ids += 1;
    return `${kind}_${this.#ports.idPrefix}_${this.#ids}`;
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

  #ask(text: string, notes: readonly string[]): void {
    if (!this.#ports.generation.realtimeText) {
      this.#ports.send({ clientContent: { turns: [turn('user', [...notes, text])], turnComplete: true } });
      return;
    }
    // Where nothing can be told without being answered, it is told together with what is to be answered.
    const silently = this.#ports.generation.clientContent;
    if (silently && notes.length > 0) this.#tell(notes);
    const words = silently ? text : [...notes, text].join('\n\n');
    this.#ports.send({ realtimeInput: { text: words } });
  }

  #tell(notes: readonly string[]): void {
    this.#ports.send({ clientContent: { turns: [turn('user', notes)], turnComplete: false } });
  }

  #onBegin(): { readonly asked: boolean; readonly unwanted: boolean } {
    this.#wanted = this.#requests.next;
    const origin = this.#requests.began();
    if (!origin.asked) {
      this.#caller.answered();
      this.#closeSpeech(false);
    }
    return origin;
  }

  #onAudio(bytes: Uint8Array, rate: number | undefined): void {
    if (rate !== undefined && rate !== OUTPUT.rate) {
      throw new BridgeError('PROVIDER_CONFIG', `the model speaks at ${rate} Hz, wanted ${OUTPUT.rate} Hz`);
    }
    if (bytes.length > 0) this.#turns.audio(bytes);
  }

  #onWords(role: 'user' | 'assistant', text: string): void {
    if (role === 'assistant') {
      this.#turns.words(text);
      return;
    }
    this.#turns.callerHeard();
    this.#requests.callerHeard();
    this.#caller.piece(text);
  }

  #onInterrupted(): void {
    // Before anybody is told: they will give up what was asked for, which may have to be asked again.
    if (!this.#turns.isOpen) this.#requests.cutByService();
    if (!this.#turns.isCut) this.#requests.callerSpeaks(false);
    this.#caller.cutIn();
    this.#turns.interrupted();
    this.#requests.pump();
  }

  #onTurnComplete(reason: string | undefined): void {
    this.#usage.nextTurn();
    this.#caller.answerEnds();
    if (this.#turns.turnComplete(reason)) {
      this.#caller.answerOver();
      return;
    }
    const asked = this.#requests.endedEmpty();
    if (asked || reason === undefined) return;
    this.#warn('turn_empty', `the model ended its turn without a word: ${reason}`);
  }

  #onToolCall({ calls }: Extract<Conversational, { readonly type: 'toolCall' }>): void {
    const segment = this.#turns.calls();
    const { clock, shape } = this.#ports;
    const fresh = this.#calls.begin(calls, segment.id, clock.now(), (name) => shape.blocks(name));
    if (segment.cut || segment.hidden) {
      for (const { call } of fresh) this.#answer(call, NOBODY_ASKED, false, 'withdrawn');
      return;
    }
    if (this.#calls.blocking > 0) this.#ports.holdAudio(true);
    for (const { call, args } of fresh) {
      const { callId, name } = call;
      this.#ports.emit({ type: 'toolCall', responseId: segment.id, callId, name, args });
    }
  }

  // Also these are answered: a call that nobody answers blocks the session for good (livekit/agents#6600).
  #onCancelled(ids: readonly string[]): void {
    const open = this.#calls.open(ids);
    for (const call of open) this.#answer(call, CANCELLED, false, 'withdrawn');
    if (open.length === 0) return;
    this.#ports.emit({ type: 'toolCallsCancelled', callIds: open.map(({ callId }) => callId) });
  }

  #answer(call: Call, response: Fields, respond: boolean, state: 'answered' | 'withdrawn'): void {
    const last = this.#calls.settle(call, state, respond);
    const speaks = last && call.group.respond;
    const scheduled = !call.blocking && this.#ports.tellsScheduling;
    const { name, wireId } = call;
    const withdrawn = state === 'withdrawn';
    if (last && call.blocking) this.#turns.callsAnswered();
    this.#toolResultAt = this.#ports.clock.now();
    this.#usage.nextTurn();
    this.#ports.send({
      toolResponse: {
        functionResponses: [
          {
            ...(wireId === undefined || !this.#ports.tellsIds ? {} : { id: wireId }),
            // Without it a model may take the call for failed (roomkit-live/roomkit#42).
            name,
            response,
            ...(scheduled ? { scheduling: speaks ? 'WHEN_IDLE' : 'SILENT' } : {}),
          },
        ],
      },
    });
    if (this.#calls.blocking === 0) this.#ports.holdAudio(false);
    // Whoever cut in meanwhile is to hear what comes next.
    const quiet = !speaks && !scheduled && this.#ports.quietResults && this.#cutAt < call.at;
    if (last && !withdrawn && (speaks || quiet)) this.#requests.toolAnswered(quiet);
    this.#requests.pump();
  }

  /** A call of the session before this one: the model is told of it and of its result together. */
  #tellOfCall(callId: string, result: ToolResult): void {
    const { call, respond, output, isError } = result;
    this.#calls.told(callId, call?.name ?? '');
    const text = earlierResult(callId, call, isError ? JSON.stringify({ error: output }) : output);
    if (respond) this.#requests.ask({ text, isSpeech: false, insist: false });
    else this.#requests.note(text);
  }

  #onMisled({ ms, text }: { readonly ms: number; readonly text: string }, atOnce: boolean): void {
    if (this.#ports.correctHeard) this.#requests.note(heardText(text, ms), atOnce);
  }

  #onSpeech(): void {
    this.#closeSpeech();
    const itemId = this.#caller.started();
    // Whoever heard of that may have ended the session.
    if (this.#closed) return;
    this.#requests.callerSpeaks(true);
    this.#speechTimer = this.#ports.clock.after(LONGEST_SPEECH_MS, () => this.#closeSpeech());
    this.#ports.emit({ type: 'speechStarted', itemId });
  }

  // Whoever was told that the caller speaks keeps still until told otherwise.
  #closeSpeech(isToBeAnswered = true): void {
    if (this.#speechTimer === undefined) return;
    this.#speechTimer();
    this.#speechTimer = undefined;
    if (isToBeAnswered) this.#requests.callerSpeaks(false);
    this.#ports.emit({ type: 'speechStopped', itemId: this.#caller.itemId });
  }

  #onLost(ms: number): void {
    this.#losses += 1;
    if (this.#losses > 1) this.#onDead(ms);
    else this.#warn('response_lost', `no sign of the answer under way for ${ms} ms`);
  }

  #onDead(ms: number): void {
    const message = `no sign of an answer for ${ms} ms, and not for the first time`;
    this.#ports.fail(new BridgeError('PROVIDER_UNAVAILABLE', message));
  }
}

/** A result as the service takes it: an object with `output` or `error`. */
function responseOf({ output, isError }: ToolResult): Fields {
  const value = parsed(output);
  if (!isError) return { output: value };
  return isFields(value) && 'error' in value ? value : { error: value };
}

/** JSON stays what it is; anything else is text. */
function parsed(output: string): unknown {
  try {
    const value: unknown = JSON.parse(output);
    return typeof value === 'object' && value !== null ? value : output;
  } catch {
    return output;
  }
}
