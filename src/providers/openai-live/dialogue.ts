import type { AudioFormat } from '../../audio/format.ts';
import type { Clock } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { ConnectRequest, HeardItem, ProviderEvent, TextOptions, ToolResult } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { codeWord } from '../common/limits.ts';
import type { Scrub } from '../common/network.ts';
import { openingMove } from '../common/told.ts';
import { Asks } from './asks.ts';
import { report } from './errors.ts';
import { Functions } from './functions.ts';
import { Speech } from './speech.ts';
import { OPENINGS, pieces, textFor } from './texts.ts';
import type { ServerEvent, WireError } from './wire.ts';

interface DialogueOptions {
  readonly clock: Clock;
  readonly format: AudioFormat;
  readonly sessionId: string;
  readonly quietMs: number;
  readonly silenceLevel: number;
  readonly request: ConnectRequest;
  /** Of the model behind the voice, as the session has it and as it was asked for. */
  readonly backendModel: string | undefined;
  readonly askedModel: string;
  readonly clientFunction: string | undefined;
  readonly scrub: Scrub;
  /** Returns the event id. */
  send(topic: string, message: Fields): string;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
}

/** How the model is told something: to say it, to do it, or to know it. */
type Kind = 'commentary' | 'instructions' | 'thinking';

/** The most of the caller's words that are kept for work that the model hands on. */
const MOST_REQUEST = 4_000;

/** What is said in one session, and what the model is told beside it. */
export class Dialogue {
  readonly #options: DialogueOptions;
  readonly #asks: Asks;
  readonly #speech: Speech;
  readonly #functions: Functions;
  /** What the caller has said since work was last handed on; only where that is given to a function. */
  #request = '';
  /** Troubles of the service since the model last spoke. */
  #troubles = 0;
  /** What more has come of than is kept. */
  readonly #excesses = new Set<string>();

  constructor(options: DialogueOptions) {
    const { clock, request, scrub, clientFunction } = options;
    this.#options = options;
    this.#asks = new Asks(clock);
    this.#speech = new Speech({
      ...options,
      transcribeCaller: request.transcribeCaller,
      asks: this.#asks,
      emit: (event) => this.#emit(event),
      excess: (what) => this.#excess(what),
    });
    this.#functions = new Functions({
      clock,
      asks: this.#asks,
      scrub,
      model: options.backendModel,
      askedModel: options.askedModel,
      clientFunction,
      takeRequest: () => this.#takeRequest(),
      send: (topic, message) => options.send(topic, message),
      tell: (kind, text, delegationId) => this.#tell(kind, text, delegationId),
      emit: (event) => options.emit(event),
      excess: (what) => this.#excess(what),
    });
  }

  /** The session stands: the model speaks first, if it is to. */
  begin(): void {
    const move = openingMove(this.#options.request);
    if (move !== undefined) this.#tell('instructions', OPENINGS[move], null);
  }

  /** The model speaks, as far as it is known. */
  get speaking(): boolean {
    return this.#speech.speaking;
  }

  say(text: string): void {
    this.#tell('commentary', text, null);
  }

  sendText(text: string, options: TextOptions): void {
    this.#tell(options.respond ? 'instructions' : 'thinking', textFor(text, options), null);
  }

  sendToolResult(callId: string, result: ToolResult): void {
    this.#functions.result(callId, result);
  }

  interrupt(heard: readonly HeardItem[]): void {
    this.#speech.interrupt(heard);
  }

  handle(event: ServerEvent): void {
    switch (event.type) {
      case 'audio':
        this.#speech.audio(event.bytes);
        break;
      case 'words':
        if (event.role === 'user') this.#keep(event.text);
        this.#speech.words(event.role, event.text, event.startMs, event.endMs);
        break;
      case 'appended':
        this.#asks.appended(event.eventId);
        break;
      case 'delegated':
        this.#functions.delegated(event.id, event.target);
        break;
      case 'backend':
        this.#functions.handle(event.event);
        break;
      case 'info':
        this.#options.emit({
          type: 'warning',
          code: codeWord(event.code, 'info'),
          message: this.#options.scrub(event.message),
        });
        break;
      case 'error':
        this.#onError(event.error);
        break;
      case 'started':
      case 'usage':
      case 'ended':
        break;
      default:
        assertNever(event);
    }
  }

  /** Whatever is open is told to its end. */
  close(): void {
    this.#functions.close();
    this.#speech.close();
  }

  #emit(event: ProviderEvent): void {
    if (event.type === 'responseStarted') this.#troubles = 0;
    this.#options.emit(event);
  }

  #tell(kind: Kind, text: string, delegation_id: string | null): void {
    const eventIds = pieces(text).map((content) =>
      this.#options.send(kind, { type: `session.${kind}.append`, content, delegation_id }),
    );
    if (kind !== 'thinking' && eventIds.length > 0) this.#asks.add(eventIds);
  }

  #excess(what: string): void {
    if (this.#excesses.has(what)) return;
    this.#excesses.add(what);
    const message = `the provider sends more ${what}; the rest is left out`;
    this.#options.emit({ type: 'warning', code: 'too_much', message });
  }

  #keep(text: string): void {
    if (this.#options.clientFunction === undefined) return;
    this.#request = `${this.#request}${text}`.slice(-MOST_REQUEST);
  }

  #takeRequest(): string {
    const request = this.#request.trim();
    this.#request = '';
    return request;
  }

  #onError({ code, kind, message, eventId }: WireError): void {
    const found = report(code, kind);
    const error = new BridgeError(found.code, this.#options.scrub(message));
    this.#troubles += found.severity === 'borne' ? 1 : 0;
    // Twice in a row is not the moment any more, but the session.
    if (found.severity === 'fatal' || this.#troubles > 1) {
      this.#options.fail(error);
      return;
    }
    if (eventId !== undefined) this.#asks.refused(eventId);
    if (eventId?.startsWith('pc_create_')) this.#asks.refused(undefined);
    this.#options.emit({ type: 'error', error, fatal: false });
  }
}
