import { isObject, type JsonObject } from '../common/json.ts';
import { anything, missing, notOneOf, nullable, object, type Rule, text } from './check.ts';
import type { Core } from './core.ts';
import { LiveSession, message } from './session.ts';
import { startedSession, updatedSession } from './session-config.ts';
import { shortText } from './tokens.ts';
import { Refusal, type WireError, type WireEvent } from './wire.ts';

type Handler = (event: WireEvent) => void;

const MOST_APPEND_TOKENS = 500;
const MOST_FIXTURE_BYTES = 30 * 24_000 * 2;

const ENVELOPE: Readonly<Record<string, Rule>> = { type: text, event_id: nullable(text) };
const APPEND = object(
  { ...ENVELOPE, content: shortText(MOST_APPEND_TOKENS), delegation_id: nullable(text) },
  ['content', 'delegation_id'],
);

/** Which fields an event may have; what the larger ones hold is looked at by their handlers. */
const SHAPES: Readonly<Record<string, Rule>> = {
  'session.start': object({ ...ENVELOPE, session: anything }),
  'session.update': object({ ...ENVELOPE, session: anything }),
  'session.input_audio.append': object({ ...ENVELOPE, audio: anything }),
  'session.input_audio.mute': object(ENVELOPE),
  'session.input_audio.unmute': object(ENVELOPE),
  'session.output_audio.fixture.play': object({ ...ENVELOPE, audio: text }, ['audio']),
  'session.instructions.append': APPEND,
  'session.thinking.append': APPEND,
  'session.commentary.append': APPEND,
  'response.item.create': object({ ...ENVELOPE, item: anything }),
  'response.create': object(ENVELOPE),
  'session.close': object(ENVELOPE),
};

/** Those of the service that are about Decisions, which this one does not play. */
const ELSEWHERE = ['decision.create', 'decision.item.create', 'decision.item.delete'];

/** What the commands of a client ask of its connection. */
export interface CommandsHost {
  readonly core: Core;
  audioSent(spokenMs: number): void;
  endSession(reason: 'close_requested', clientEventId: unknown): void;
}

/** The client's side of the protocol: what each of its events does, and the error that it earns. */
export class Commands {
  readonly #host: CommandsHost;
  readonly #core: Core;
  readonly #handlers: Readonly<Record<string, Handler>>;
  #session: LiveSession | undefined;

  constructor(host: CommandsHost) {
    this.#host = host;
    this.#core = host.core;
    this.#handlers = {
      'session.start': (event) => this.#start(event),
      'session.update': (event) => this.#update(event),
      'session.input_audio.append': (event) => this.#appendAudio(event),
      'session.input_audio.mute': (event) => this.#muteInput(event, true),
      'session.input_audio.unmute': (event) => this.#muteInput(event, false),
      'session.output_audio.fixture.play': (event) => this.#playFixture(event),
      'session.instructions.append': (event) => this.#append(event, 'instructions'),
      'session.thinking.append': (event) => this.#append(event, 'thinking'),
      'session.commentary.append': (event) => this.#append(event, 'commentary'),
      'response.item.create': (event) => this.#addItem(event),
      'response.create': () => this.#respond(),
      'session.close': (event) => this.#host.endSession('close_requested', event['event_id']),
    };
  }

  /** Undefined until it was started. */
  get session(): LiveSession | undefined {
    return this.#session;
  }

  /** Never throws for what a client sent: a broken rule is answered with an `error` event. */
  handle(event: WireEvent): void {
    try {
      const handler = Object.hasOwn(this.#handlers, event.type) ? this.#handlers[event.type] : undefined;
      if (handler === undefined) throw notOneOf('type', event.type, [...Object.keys(SHAPES), ...ELSEWHERE]);
      SHAPES[event.type]?.(event, '');
      handler(event);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.refuse(thrown.wire, event['event_id']);
    }
  }

  /** An `error` event; `eventId` is the one of the client's event, if it had any. */
  refuse(error: WireError, eventId: unknown): void {
    const client = named(eventId);
    this.#core.emit('error', { ...client, error: { ...error, ...client } });
  }

  close(): void {
    this.#session?.close();
  }

  #started(): LiveSession {
    if (this.#session !== undefined) return this.#session;
    throw new Refusal('session_not_started', 'The first event must be session.start.', 'type');
  }

  #start(event: WireEvent): void {
    if (this.#session !== undefined) {
      throw new Refusal('session_already_started', 'The session was started already.', 'type');
    }
    const config = startedSession(event['session']);
    if (this.#core.settings.models?.includes(config.model) === false) {
      const message = `The model '${config.model}' does not exist or you do not have access to it.`;
      throw new Refusal('model_not_found', message, 'session.model');
    }
    const session = new LiveSession(this.#core, config, (ms) => this.#host.audioSent(ms));
    this.#session = session;
    this.#core.emit('session.started', { ...named(event['event_id']), session: session.resource() });
    session.start();
  }

  #update(event: WireEvent): void {
    const session = this.#started();
    session.config = updatedSession(session.config, event['session']);
    this.#core.emit('session.updated', { ...named(event['event_id']), session: session.resource() });
  }

  #appendAudio(event: WireEvent): void {
    const session = this.#started();
    session.ears.append(event['audio']);
    session.stream.pump();
  }

  #muteInput(event: WireEvent, muted: boolean): void {
    this.#started().ears.muted = muted;
    this.#core.emit(`session.input_audio.${muted ? 'muted' : 'unmuted'}`, named(event['event_id']));
  }

  #playFixture(event: WireEvent): void {
    const session = this.#started();
    const pcm = Buffer.from(String(event['audio']), 'base64');
    if (pcm.length === 0 || pcm.length % 2 === 1 || pcm.length > MOST_FIXTURE_BYTES) {
      throw new Refusal(
        'invalid_value',
        "Invalid 'audio'. Expected at most 30 seconds of PCM16 at 24 kHz.",
        'audio',
      );
    }
    this.#refuseWhilePlaying(session);
    const client = named(event['event_id']);
    session.playFixture(pcm, () => this.#core.emit('session.output_audio.fixture.played', client));
    this.#core.emit('session.output_audio.fixture.playing', client);
  }

  #refuseWhilePlaying(session: LiveSession): void {
    if (!session.mouth.playsFixture) return;
    throw new Refusal('fixture_active', 'An audio fixture is being played.', 'type');
  }

  #append(event: WireEvent, kind: 'instructions' | 'thinking' | 'commentary'): void {
    const session = this.#started();
    this.#refuseWhilePlaying(session);
    const { delegation_id } = event;
    const answers = typeof delegation_id === 'string';
    if (answers) this.#checkDelegation(session, delegation_id);
    const content = String(event['content']);
    session.stream.atNextStep((start_ms, end_ms) => {
      session.added(message('developer', content));
      this.#core.emit(`session.${kind}.appended`, { ...named(event['event_id']), start_ms, end_ms });
      if (kind === 'thinking') return;
      if (kind === 'instructions') session.answer('text', 0, content);
      else if (answers) session.answer('tool-result', 0, content);
      else session.prompt(content);
    });
  }

  #checkDelegation(session: LiveSession, id: string): void {
    if (session.settings !== undefined) {
      const message = "Non-null 'delegation_id' is not accepted with Responses delegation.";
      throw new Refusal('invalid_value', message, 'delegation_id');
    }
    if (session.backend.delegations.some((delegation) => delegation.id === id)) return;
    throw new Refusal('invalid_value', `No delegation with the id '${id}'.`, 'delegation_id');
  }

  #backendOf(event: string): LiveSession {
    const session = this.#started();
    if (session.settings !== undefined) return session;
    throw new Refusal('invalid_request', `${event} requires Responses delegation.`, 'type');
  }

  #addItem(event: WireEvent): void {
    const session = this.#backendOf('response.item.create');
    const item = checkItem(event['item']);
    if (item['type'] === 'function_call_output') session.backend.takeOutput(item['call_id']);
    session.added(item);
  }

  #respond(): void {
    const session = this.#backendOf('response.create');
    session.backend.checkFree();
    session.goOn();
  }
}

function named(eventId: unknown): JsonObject {
  return typeof eventId === 'string' ? { client_event_id: eventId } : {};
}

const ITEMS: Readonly<Record<string, Rule>> = {
  message: object({ type: text, role: text, content: anything, id: text, status: text, phase: anything }, [
    'role',
    'content',
  ]),
  function_call: object(
    { type: text, call_id: text, name: text, arguments: text, id: text, status: text, namespace: text },
    ['call_id', 'name', 'arguments'],
  ),
  function_call_output: object(
    { type: text, call_id: text, output: anything, id: nullable(text), status: nullable(text) },
    ['call_id', 'output'],
  ),
};

/** An input item of the Responses API, of the kinds that a voice session has a use for. */
function checkItem(item: unknown): JsonObject {
  if (item === undefined) throw missing('item');
  if (!isObject(item))
    throw new Refusal('invalid_type', "Invalid type for 'item': expected an object.", 'item');
  // A message needs no type.
  const type = item['type'] ?? 'message';
  const rule = typeof type === 'string' && Object.hasOwn(ITEMS, type) ? ITEMS[type] : undefined;
  if (rule === undefined) throw notOneOf('item.type', type, Object.keys(ITEMS));
  rule(item, 'item');
  return item;
}

/** Turns what came over the socket into an event; throws a Refusal when it is none. */
export function readEvent(text: string): WireEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('invalid_json', 'The message could not be parsed as JSON.');
  }
  if (!isObject(value)) throw new Refusal('invalid_type', 'A message must be a JSON object.');
  const { type } = value;
  if (type === undefined) throw missing('type');
  if (typeof type === 'string') return value as WireEvent;
  throw new Refusal('invalid_type', "Invalid type for 'type': expected a string.", 'type');
}
