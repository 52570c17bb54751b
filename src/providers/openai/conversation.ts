import { bytesPerMs } from '../../audio/format.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { HeardItem, ResponseStatus, TextOptions, ToolResult } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { codeWord, ModelNames } from '../common/limits.ts';
import { type Failure, Failures } from './failures.ts';
import { Functions } from './functions.ts';
import { HeardWords } from './heard.ts';
import { correctionMessage, messageItem, requestMessage, sayFields, textFor } from './messages.ts';
import type { ConversationPorts } from './ports.ts';
import { type Correction, type Response, Responses } from './responses.ts';
import { ResponseSequencer } from './sequencer.ts';
import { Troubles } from './troubles.ts';
import type { Done, ServerEvent } from './wire.ts';

type Conversational = Exclude<ServerEvent, { readonly type: 'session' | 'conversation' }>;

/** A model that the server transcribes by without having said so; it is charged for apart all the same. */
const UNKNOWN_TRANSCRIBER = 'transcription';

/** What is said on a session that stands: turns, responses, calls, corrections. */
export class Conversation {
  readonly #ports: ConversationPorts;
  readonly #sequencer: ResponseSequencer;
  readonly #responses: Responses;
  readonly #troubles: Troubles;
  readonly #failures: Failures;
  readonly #functions: Functions;
  readonly #heard: HeardWords;
  /** Counts what happens, to tell what came before what. */
  #moment = 0;
  #speechAt = 0;
  /** `speechStarted` was told, `speechStopped` not yet. */
  #speechOpen = false;
  #speechItem: string | undefined;
  #items = 0;
  /** What writes the caller's words down, as it was asked for. */
  readonly #transcriber: string;
  readonly #models = new ModelNames();
  /** What more has come of than is kept. */
  readonly #excesses = new Set<string>();

  constructor(ports: ConversationPorts) {
    this.#ports = ports;
    this.#transcriber = ports.shape().transcriptionModel ?? UNKNOWN_TRANSCRIBER;
    this.#troubles = new Troubles(ports.clock);
    this.#heard = new HeardWords(
      (itemId, text, final) => ports.emit({ type: 'transcript', role: 'user', itemId, text, final }),
      (what) => this.#excess(what),
    );
    this.#sequencer = new ResponseSequencer({
      clock: ports.clock,
      send: (fields) => this.#createResponse(fields),
      warn: (code, message) => this.#warn(code, message),
      spokeTooLong: () => this.#closeSpeech(),
      lost: (ms, open) => this.#onLost(ms, open),
    });
    this.#functions = new Functions({
      addItem: (item) => this.#addItem(item),
      respond: (items) => this.#sequencer.request({ fields: {}, items }),
      tell: (text, respond) => this.sendText(text, { role: 'system', respond }),
      called: (responseId, call) => ports.emit({ type: 'toolCall', responseId, ...call }),
      answeredTwice: (callId) => this.#warn('tool_answered_twice', `call ${callId} has a result already`),
      excess: (what) => this.#excess(what),
    });
    this.#failures = new Failures({
      emit: ports.emit,
      fail: ports.fail,
      untag: ports.untag,
      scrub: ports.scrub,
      troubles: this.#troubles,
      sequencer: this.#sequencer,
    });
    this.#responses = new Responses({
      audio: (item, bytes) =>
        ports.emit({ type: 'audio', responseId: item.responseId, itemId: item.id, bytes }),
      audioDone: (item) => ports.emit({ type: 'audioDone', responseId: item.responseId, itemId: item.id }),
      words: (item, text, final) =>
        ports.emit({ type: 'transcript', role: 'assistant', itemId: item.id, text, final }),
      wroteText: () => this.#warn('answered_in_text', 'the model wrote its answer instead of speaking it'),
      forgotten: (response) => this.#supersede(response),
      excess: (what) => this.#excess(what),
    });
  }

  handle(event: Conversational): void {
    const item = event.type === 'audio' ? this.#responses.goesOn(event) : undefined;
    if (event.type === 'audio' && item !== undefined) {
      this.#sequencer.alive(event.responseId);
      this.#responses.more(item, event.bytes);
      return;
    }
    switch (event.type) {
      case 'error':
        this.#failures.report(event.error);
        return;
      case 'itemAdded':
        this.#sequencer.confirmed(event.itemId);
        return;
      case 'heard':
        this.#onHeard(event);
        return;
      case 'noted':
        this.#warn(codeWord(event.code, 'provider'), event.message);
        return;
      case 'notHeard':
        this.#warn('transcription_failed', event.message);
        return;
      case 'speechStarted':
        this.#onSpeechStarted(event.itemId);
        return;
      case 'speechStopped':
        this.#sequencer.speechStopped(this.#ports.shape().answers);
        this.#closeSpeech(event.itemId);
        return;
      case 'turnEnded':
        this.#sequencer.speechStopped(this.#ports.shape().answers);
        this.#closeSpeech();
        return;
      case 'responseCreated':
        this.#created(event.responseId, event.token);
        return;
      case 'responseDone':
        this.#onDone(event);
        return;
      case 'itemOpened':
      case 'itemClosed':
      case 'callWritten':
      case 'audio':
      case 'audioDone':
      case 'spoken':
      case 'progress':
        this.#onOutput(event, this.#response(event.responseId));
        return;
      default:
        assertNever(event);
    }
  }

  sendText(text: string, options: TextOptions): void {
    const words = textFor(text, options);
    if (words.trim() === '') return;
    const itemId = this.#addItem(messageItem(options.role, words, this.#ports.dialect));
    if (options.respond) this.#sequencer.request({ fields: {}, items: [itemId] });
  }

  say(text: string, insist: boolean): void {
    if (text.trim() === '') return;
    const { dialect, language } = this.#ports;
    const fields = sayFields(text, { dialect, language, instructions: this.#ports.shape().instructions });
    this.#sequencer.request({ fields, items: undefined, insist });
  }

  /** Asks for an answer to what is already in the conversation. */
  respond(): void {
    this.#sequencer.request({ fields: {}, items: [] });
  }

  sendToolResult(callId: string, result: ToolResult): void {
    this.#functions.answer(callId, result);
  }

  interrupt(heard: readonly HeardItem[]): void {
    const cut = this.#responses.open().filter((response) => !response.discarded);
    this.#sequencer.doom();
    for (const response of cut) {
      if (response.items.every((item) => item.received === 0)) this.#sequencer.unheard(response.id);
      this.#responses.discard(response);
      if (!this.#cutByServer(response)) this.#cancel(response);
    }
    const { output } = this.#ports.shape();
    this.#correct(this.#responses.corrections(heard, bytesPerMs(output)));
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#heard.settle();
    this.#sequencer.close();
  }

  #cutByServer(response: Response): boolean {
    return this.#ports.shape().interrupts && this.#speechAt > response.bornAt;
  }

  #cancel(response: Response): void {
    if (response.cancelled || response.done) return;
    response.cancelled = true;
    this.#ports.send('cancel', { type: 'response.cancel', response_id: response.id });
  }

  #correct(corrections: readonly Correction[]): void {
    for (const correction of corrections) {
      if (correction.type === 'truncate' && !this.#ports.dialect.truncates) continue;
      this.#ports.send(correction.type, correctionMessage(correction));
    }
  }

  #addItem(item: Fields): string {
    this.#items += 1;
    const id = `item_pc_${this.#items}`;
    this.#ports.send('item', { type: 'conversation.item.create', item: { id, ...item } });
    return id;
  }

  #createResponse(fields: Fields): string {
    this.#troubles.tried();
    return this.#ports.send('response', requestMessage(fields));
  }

  #warn(code: string, message: string): void {
    this.#ports.emit({ type: 'warning', code, message: this.#ports.scrub(message) });
  }

  #excess(what: string): void {
    if (this.#excesses.has(what)) return;
    this.#excesses.add(what);
    this.#warn('too_much', `the provider sends more ${what}; the rest is left out`);
  }

  #response(responseId: string): Response {
    const known = this.#responses.find(responseId);
    if (known && (!known.done || known.lost)) this.#sequencer.alive(responseId);
    return known ?? this.#created(responseId, undefined);
  }

  #created(responseId: string, token: string | undefined): Response {
    const known = this.#responses.find(responseId);
    if (known) return known;
    this.#troubles.tried();
    this.#moment += 1;
    const unwanted = this.#sequencer.created(responseId, token);
    const response = this.#responses.add(responseId, this.#moment, unwanted);
    if (unwanted) {
      this.#cancel(response);
      return response;
    }
    const asked = this.#sequencer.isOurs(responseId);
    if (this.#ports.dialect.abandons) this.#closeAbandoned(response);
    if (!asked) {
      this.#closeSpeech();
      this.#closeDiscarded();
    }
    this.#ports.emit({ type: 'responseStarted', responseId, asked });
    return response;
  }

  #onHeard({ itemId, text, mode, usage }: Extract<ServerEvent, { readonly type: 'heard' }>): void {
    if (mode === 'piece') this.#heard.piece(itemId, text);
    else if (mode === 'soFar') this.#heard.soFar(itemId, text);
    else if (this.#ports.dialect.rewritesHeard) this.#heard.said(itemId, text);
    else this.#heard.whole(itemId, text);
    if (usage === undefined) return;
    const model = this.#models.take(this.#ports.shape().transcriptionModel, this.#transcriber);
    this.#ports.emit({ type: 'usage', usage: usage.usage, model, seconds: usage.seconds });
  }

  #onSpeechStarted(itemId: string | undefined): void {
    this.#moment += 1;
    this.#speechAt = this.#moment;
    this.#heard.begin(itemId);
    this.#troubles.tried();
    this.#sequencer.speechStarted();
    this.#speechOpen = true;
    this.#speechItem = itemId;
    this.#ports.emit({ type: 'speechStarted', itemId });
  }

  // Whoever was told that the caller speaks keeps still until told otherwise, and not every server tells it.
  #closeSpeech(itemId = this.#speechItem): void {
    if (!this.#speechOpen) return;
    this.#speechOpen = false;
    this.#ports.emit({ type: 'speechStopped', itemId });
  }

  #onOutput(event: Extract<Conversational, { readonly responseId: string }>, response: Response): void {
    if (event.type === 'callWritten') this.#responses.write(response, event.call, event.draft);
    if (!('itemId' in event)) return;
    const item = this.#responses.item(response, event.itemId, event.outputIndex);
    if (item === undefined) return;
    if (event.type === 'audio') {
      const { bytes } = event;
      if (item.received === 0) item.contentIndex = event.contentIndex;
      if (item.received === 0 && response.bornAt > this.#speechAt) this.#heard.answered();
      if (bytes.length > 0) this.#responses.audio(response, item, bytes);
    } else if (event.type === 'audioDone' || event.type === 'itemClosed') {
      this.#responses.complete(response, item);
    } else if (event.type === 'spoken') {
      this.#responses.spoken(response, item, event);
    }
  }

  #onDone(event: Done): void {
    const response = this.#responses.find(event.responseId) ?? this.#created(event.responseId, event.token);
    if (response.lost) this.#onLateDone(event, response);
    if (response.done) return;
    if (response.bornAt > this.#speechAt) this.#heard.answered();
    this.#responses.finish(response);
    this.#correct(this.#responses.unheard(response));
    const failure = this.#failures.judge(event, response);
    // Before the next response is asked for: whoever hears of it gives up everything that is under way.
    if (event.reason === 'turn_detected' && !response.discarded) {
      this.#ports.emit({ type: 'interrupted', responseId: response.id });
    }
    this.#sequencer.done(event.responseId, event.token);
    if (event.usage) this.#ports.emit({ type: 'usage', usage: event.usage });
    if (event.status === 'completed') {
      this.#troubles.succeeded();
      this.#functions.begin(event, response, !response.hidden);
    }
    this.#responses.dropCalls(response);
    if (!response.hidden) this.#tellDone(event, response, failure);
    if (failure?.outcome === 'fatal') this.#ports.fail(failure.error);
  }

  /** The end was told long ago; what is left is to see that the server works, and to leave nothing open there. */
  #onLateDone(event: Done, response: Response): void {
    response.lost = false;
    this.#correct(this.#responses.unheard(response));
    if (event.status !== 'failed') this.#troubles.succeeded();
    if (event.status === 'completed') this.#functions.begin(event, response, false);
    this.#responses.dropCalls(response);
    if (event.usage) this.#ports.emit({ type: 'usage', usage: event.usage });
    this.#sequencer.done(event.responseId, event.token);
  }

  #tellDone(event: Done, response: Response, failure: Failure | undefined): void {
    const { emit } = this.#ports;
    if (failure?.outcome === 'report') emit({ type: 'error', error: failure.error, fatal: false });
    const said = event.reason ?? event.error?.code;
    const reason = said && codeWord(said, 'unknown');
    emit({ type: 'responseDone', responseId: response.id, status: event.status, reason });
  }

  // A server may keep its socket alive and say nothing any more; asking it twice is enough.
  #onLost(ms: number, open: readonly string[]): void {
    const message = `no sign of the response under way for ${ms} ms`;
    const found = open.map((id) => this.#responses.find(id)).filter((response) => response !== undefined);
    // A last word of a response that was given up before is no new trouble.
    if (found.length > 0 && found.every((response) => response.lost)) return;
    // Whoever waits for the end of a response must not wait for ever.
    for (const response of found) {
      this.#cancel(response);
      this.#giveUp(response, 'failed', 'lost');
    }
    if (this.#troubles.strike() === 'again') {
      this.#ports.fail(new BridgeError('PROVIDER_UNAVAILABLE', `${message}, and not for the first time`));
    } else {
      this.#warn('response_lost', message);
    }
  }

  // A server that cut its response off and says no more of it has shown by its next one that it is over.
  #closeDiscarded(): void {
    for (const response of this.#responses.open()) {
      if (response.discarded) this.#supersede(response);
    }
  }

  /** A response of which nothing had come when the next one began is not gone on with. */
  #closeAbandoned(next: Response): void {
    for (const response of this.#responses.open()) {
      if (response === next || response.items.some((item) => item.received > 0)) continue;
      this.#supersede(response);
    }
  }

  #supersede(response: Response): void {
    this.#sequencer.superseded(response.id);
    this.#giveUp(response, 'cancelled', 'superseded');
  }

  /** Tells the end of a response whose own end has not come. */
  #giveUp(response: Response, status: ResponseStatus, reason: string): void {
    if (response.done) return;
    this.#responses.finish(response);
    this.#responses.discard(response);
    response.lost = true;
    if (response.hidden) return;
    this.#ports.emit({ type: 'responseDone', responseId: response.id, status, reason });
  }
}
