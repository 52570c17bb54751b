import { bytesPerMs } from '../../audio/format.ts';
import type { Clock } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { HeardItem, ProviderEvent, TextOptions, ToolResult } from '../../provider.ts';
import { Calls } from './calls.ts';
import type { Dialect, SessionShape } from './config.ts';
import { type Report, report, type Scrub } from './errors.ts';
import { messageItem, resultItem, sayFields, type Topic, textFor, toolOutput, topicOf } from './messages.ts';
import { type Response, Responses } from './responses.ts';
import { ResponseSequencer } from './sequencer.ts';
import { Troubles } from './troubles.ts';
import type { Fields, ServerEvent, WireError } from './wire.ts';

export interface ConversationPorts {
  readonly clock: Clock;
  readonly dialect: Dialect;
  readonly language: string | undefined;
  readonly scrub: Scrub;
  /** The session as the server last confirmed it. */
  shape(): SessionShape;
  /** Sends one message under a new event id, which is returned. */
  send(topic: Topic, message: Fields): string;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
}

type Conversational = Exclude<ServerEvent, { readonly type: 'session' }>;
type Done = Extract<ServerEvent, { readonly type: 'responseDone' }>;

/** `known`: it was reported as an error event before. */
interface Failure {
  readonly error: BridgeError;
  readonly outcome: 'fatal' | 'report' | 'known';
}

const BROKEN: Report = { code: 'PROVIDER_UNAVAILABLE', severity: 'sticky' };
const NOBODY_ASKED = JSON.stringify({ error: 'not run: the caller interrupted' });

/** What is said on a session that stands: turns, responses, calls, corrections. */
export class Conversation {
  readonly #ports: ConversationPorts;
  readonly #sequencer: ResponseSequencer;
  readonly #responses: Responses;
  readonly #troubles: Troubles;
  readonly #calls = new Calls();
  /** Counts what happens, to tell what came before what. */
  #moment = 0;
  #speechAt = 0;
  #items = 0;

  constructor(ports: ConversationPorts) {
    this.#ports = ports;
    this.#troubles = new Troubles(ports.clock);
    this.#sequencer = new ResponseSequencer({
      clock: ports.clock,
      send: (fields) => this.#createResponse(fields),
      warn: (code, message) => this.#warn(code, message),
      lost: (ms, open) => this.#onLost(ms, open),
    });
    this.#responses = new Responses({
      audio: (item, bytes) =>
        ports.emit({ type: 'audio', responseId: item.responseId, itemId: item.id, bytes }),
      audioDone: (item) => ports.emit({ type: 'audioDone', responseId: item.responseId, itemId: item.id }),
      words: (item, text, final) =>
        ports.emit({ type: 'transcript', role: 'assistant', itemId: item.id, text, final }),
      wroteText: () => this.#warn('answered_in_text', 'the model wrote its answer instead of speaking it'),
    });
  }

  handle(event: Conversational): void {
    switch (event.type) {
      case 'error':
        this.#onError(event.error);
        return;
      case 'itemAdded':
        this.#sequencer.confirmed(event.itemId);
        return;
      case 'heard':
        this.#onHeard(event.itemId, event.text, event.final);
        return;
      case 'notHeard':
        this.#warn('transcription_failed', event.message);
        return;
      case 'speechStarted':
        this.#onSpeechStarted(event.itemId);
        return;
      case 'speechStopped':
        this.#sequencer.speechStopped(this.#ports.shape().answers);
        this.#ports.emit({ type: 'speechStopped', itemId: event.itemId });
        return;
      case 'turnEnded':
        this.#sequencer.speechStopped(this.#ports.shape().answers);
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

  say(text: string): void {
    if (text.trim() === '') return;
    const fields = sayFields(text, this.#ports.shape().instructions, this.#ports.language);
    this.#sequencer.request({ fields, items: undefined });
  }

  /** Asks for an answer to what is already in the conversation. */
  respond(): void {
    this.#sequencer.request({ fields: {}, items: [] });
  }

  sendToolResult(callId: string, result: ToolResult): void {
    const output = toolOutput(result.output, result.isError);
    const state = this.#calls.state(callId);
    switch (state) {
      case 'answered':
        this.#warn('tool_answered_twice', `call ${callId} has a result already`);
        return;
      case 'unknown':
        // A call of the session before this one: the model never made it here, so it can only be told about it.
        this.sendText(`Result of the function call ${callId}, made earlier: ${output}`, {
          role: 'system',
          respond: result.respond,
        });
        return;
      case 'open': {
        const itemId = this.#addItem(resultItem(callId, output));
        const answered = this.#calls.answer(callId, itemId, result.respond);
        if (answered?.respond) {
          // Also after the caller cut in: only a response that has seen the result stands in for this one.
          this.#sequencer.request({ fields: {}, items: answered.items });
        }
        return;
      }
      default:
        assertNever(state);
    }
  }

  interrupt(heard: readonly HeardItem[]): void {
    const cut = this.#responses.open().filter((response) => !response.discarded);
    this.#sequencer.doom();
    for (const response of cut) {
      this.#responses.discard(response);
      if (!this.#cutByServer(response)) this.#cancel(response);
    }
    const { output } = this.#ports.shape();
    this.#correct(this.#responses.corrections(heard, bytesPerMs(output)));
  }

  /** Nothing is sent any more. */
  close(): void {
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

  #correct(corrections: ReturnType<Responses['corrections']>): void {
    for (const correction of corrections) {
      if (correction.type === 'delete') {
        this.#ports.send('delete', { type: 'conversation.item.delete', item_id: correction.itemId });
        continue;
      }
      this.#ports.send('truncate', {
        type: 'conversation.item.truncate',
        item_id: correction.itemId,
        content_index: correction.contentIndex,
        audio_end_ms: correction.endMs,
      });
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
    return this.#ports.send('response', { type: 'response.create', response: fields });
  }

  #warn(code: string, message: string): void {
    this.#ports.emit({ type: 'warning', code, message: this.#ports.scrub(message) });
  }

  #response(responseId: string): Response {
    const known = this.#responses.find(responseId);
    if (known && !known.done) this.#sequencer.alive(responseId);
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
    this.#ports.emit({ type: 'responseStarted', responseId, asked: this.#sequencer.isOurs(responseId) });
    return response;
  }

  #onHeard(itemId: string, text: string, final: boolean): void {
    if (text === '' && !final) return;
    this.#ports.emit({ type: 'transcript', role: 'user', itemId, text, final });
  }

  #onSpeechStarted(itemId: string | undefined): void {
    this.#moment += 1;
    this.#speechAt = this.#moment;
    this.#troubles.tried();
    this.#sequencer.speechStarted();
    this.#ports.emit({ type: 'speechStarted', itemId });
  }

  #onOutput(event: Extract<Conversational, { readonly responseId: string }>, response: Response): void {
    if (event.type === 'callWritten') response.written.push(event.call);
    if (!('itemId' in event)) return;
    const item = this.#responses.item(response, event.itemId, event.outputIndex);
    if (event.type === 'audio') {
      const bytes = Buffer.from(event.delta, 'base64');
      if (item.received === 0) item.contentIndex = event.contentIndex;
      if (bytes.length > 0) this.#responses.audio(response, item, bytes);
    } else if (event.type === 'audioDone' || event.type === 'itemClosed') {
      this.#responses.complete(response, item);
    } else if (event.type === 'spoken') {
      this.#responses.spoken(response, item, event);
    }
  }

  #onDone(event: Done): void {
    const response = this.#responses.find(event.responseId) ?? this.#created(event.responseId, event.token);
    if (response.done) return;
    this.#responses.finish(response);
    this.#correct(this.#responses.unheard(response));
    const failure = this.#failure(event, response);
    // Before the next response is asked for: whoever hears of it gives up everything that is under way.
    if (event.reason === 'turn_detected' && !response.discarded) {
      this.#ports.emit({ type: 'interrupted', responseId: response.id });
    }
    this.#sequencer.done(event.responseId, event.token);
    if (event.usage) this.#ports.emit({ type: 'usage', usage: event.usage });
    if (event.status === 'completed') this.#onCompleted(event, response);
    if (!response.hidden) this.#tellDone(event, response, failure);
    if (failure?.outcome === 'fatal') this.#ports.fail(failure.error);
  }

  #failure(event: Done, response: Response): Failure | undefined {
    if (event.status !== 'failed') return undefined;
    const found = event.error ? report(event.error.code, event.error.kind) : BROKEN;
    const words = this.#ports.scrub(event.error?.message ?? 'no reason given');
    const error = new BridgeError(found.code, `a response failed: ${words}`);
    if (found.severity === 'fatal') return { error, outcome: 'fatal' };
    if (found.severity !== 'sticky') return { error, outcome: 'report' };
    const strike = this.#troubles.strike();
    if (strike === 'again') return { error, outcome: 'fatal' };
    const silent = !response.discarded && response.items.every((item) => item.received === 0);
    if (silent) this.#sequencer.retry(event.responseId);
    return { error, outcome: strike === 'same' ? 'known' : 'report' };
  }

  #onCompleted(event: Done, response: Response): void {
    this.#troubles.succeeded();
    const calls = this.#calls.begin([...event.calls, ...response.written]);
    for (const { callId, name, args } of calls) {
      if (response.hidden) {
        // Nobody is told of it, but a call without an output stays open in the conversation for good.
        this.#calls.answer(callId, this.#addItem(resultItem(callId, NOBODY_ASKED)), false);
      } else {
        this.#ports.emit({ type: 'toolCall', responseId: response.id, callId, name, args });
      }
    }
  }

  #tellDone(event: Done, response: Response, failure: Failure | undefined): void {
    const { emit } = this.#ports;
    if (failure?.outcome === 'report') emit({ type: 'error', error: failure.error, fatal: false });
    const reason = event.reason ?? event.error?.code;
    emit({ type: 'responseDone', responseId: response.id, status: event.status, reason });
  }

  #onError(error: WireError): void {
    const topic = topicOf(error.eventId);
    const found = report(error.code, error.kind);
    const token = topic === 'response' ? error.eventId : undefined;
    const failure = new BridgeError(found.code, this.#ports.scrub(error.message));
    switch (found.severity) {
      case 'swallowed':
        return;
      case 'fatal':
        this.#ports.fail(failure);
        return;
      case 'busy':
        this.#sequencer.refused(token, 'busy');
        return;
      case 'sticky':
        this.#onTrouble(failure, token);
        return;
      case 'noted':
        this.#warn(error.code ?? 'provider', error.message);
        return;
      case 'rejected':
        this.#onRejected(failure, error, topic);
        return;
      default:
        assertNever(found.severity);
    }
  }

  #onTrouble(error: BridgeError, token: string | undefined): void {
    const strike = this.#troubles.strike();
    if (strike === 'again') {
      this.#ports.fail(error);
      return;
    }
    if (strike === 'first') this.#ports.emit({ type: 'error', error, fatal: false });
    if (token !== undefined) this.#sequencer.refused(token, 'retry');
  }

  // A server may keep its socket alive and say nothing any more; asking it twice is enough.
  #onLost(ms: number, open: readonly string[]): void {
    const message = `no sign of the response under way for ${ms} ms`;
    // Whoever waits for the end of a response must not wait for ever.
    for (const responseId of open) {
      const response = this.#responses.find(responseId);
      if (response === undefined || response.done) continue;
      this.#responses.finish(response);
      if (response.hidden) continue;
      this.#ports.emit({ type: 'responseDone', responseId, status: 'failed', reason: 'lost' });
    }
    if (this.#troubles.strike() === 'again') {
      this.#ports.fail(new BridgeError('PROVIDER_UNAVAILABLE', `${message}, and not for the first time`));
    } else {
      this.#warn('response_lost', message);
    }
  }

  // A correction that fails costs a little accuracy of the conversation, never the call.
  #onRejected(failure: BridgeError, error: WireError, topic: Topic | undefined): void {
    if (topic === 'truncate' || topic === 'delete' || topic === 'cancel' || topic === 'history') {
      this.#warn(error.code ?? `${topic}_rejected`, `${topic}: ${error.message}`);
      return;
    }
    if (topic === 'response') this.#sequencer.refused(error.eventId, 'rejected');
    this.#ports.emit({ type: 'error', error: failure, fatal: false });
  }
}
