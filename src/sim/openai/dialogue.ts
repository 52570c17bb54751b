import type { ResponsePlan, Truncation } from './api.ts';
import { anything, missing, notOneOf, object, type Rule, text, whole } from './check.ts';
import { checkItem, type Entry, silentEntry } from './conversation.ts';
import type { Core } from './core.ts';
import { Ears, type EarsHost } from './ears.ts';
import { Responder } from './responder.ts';
import type { KeptConversation } from './shelf.ts';
import { Refusal, type WireError, type WireEvent } from './wire.ts';

type Handler = (event: WireEvent) => void;

const ENVELOPE: Readonly<Record<string, Rule>> = { type: text, event_id: text };

/** Which fields an event may have besides `type` and `event_id`; what they hold is looked at by its handler. */
const SHAPES: Readonly<Record<string, Rule>> = {
  'session.update': object({ ...ENVELOPE, session: anything }),
  'input_audio_buffer.append': object({ ...ENVELOPE, audio: anything }),
  'input_audio_buffer.commit': object(ENVELOPE),
  'input_audio_buffer.clear': object(ENVELOPE),
  'conversation.item.create': object({ ...ENVELOPE, item: anything, previous_item_id: anything }),
  'conversation.item.retrieve': object({ ...ENVELOPE, item_id: text }, ['item_id']),
  'conversation.item.truncate': object(
    { ...ENVELOPE, item_id: text, content_index: whole(0), audio_end_ms: whole(0) },
    ['item_id', 'content_index', 'audio_end_ms'],
  ),
  'conversation.item.delete': object({ ...ENVELOPE, item_id: text }, ['item_id']),
  'response.create': object({ ...ENVELOPE, response: anything }),
  'response.cancel': object({ ...ENVELOPE, response_id: text }),
  'output_audio_buffer.clear': object(ENVELOPE),
};

/** One session as the protocol sees it: what a client event does, and the error that it earns. */
export class Dialogue implements EarsHost {
  readonly ears: Ears;
  readonly responder: Responder;
  readonly truncations: Truncation[] = [];
  readonly #core: Core;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #lacks: ReadonlySet<string>;
  #earlier: KeptConversation | undefined;

  /** `earlier`: of a conversation that the client wants to go on with. */
  constructor(core: Core, audioSent: (ms: number) => void, earlier?: KeptConversation) {
    this.#core = core;
    this.#earlier = earlier;
    this.#lacks = new Set([...core.dialect.lacks, ...core.settings.lacks]);
    this.ears = new Ears(core, this);
    this.responder = new Responder(core, (run) => this.ears.responseEnded(run.audioMs), audioSent);
    this.#handlers = {
      'session.update': (event) => this.#update(event),
      'input_audio_buffer.append': (event) => this.ears.append(event['audio']),
      'input_audio_buffer.commit': () => this.ears.commit(),
      'input_audio_buffer.clear': () => this.ears.clear(),
      'conversation.item.create': (event) => this.#create(event),
      'conversation.item.retrieve': (event) => this.#retrieve(event),
      'conversation.item.truncate': (event) => this.#truncate(event),
      'conversation.item.delete': (event) => this.#delete(event),
      'response.create': (event) => this.#respond(event),
      'response.cancel': (event) => this.responder.cancel(event['response_id']),
      'output_audio_buffer.clear': () => refuseOutputClear(),
    };
  }

  /** Never throws for what a client sent: a broken rule is answered with an `error` event. */
  handle(event: WireEvent): void {
    try {
      const isKnown = Object.hasOwn(this.#handlers, event.type) && !this.#lacks.has(event.type);
      const handler = isKnown ? this.#handlers[event.type] : undefined;
      if (handler === undefined) throw notOneOf('type', event.type, this.#known());
      SHAPES[event.type]?.(event, '');
      handler(this.#core.dialect.read(event));
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.refuse(thrown.wire, event['event_id']);
    }
  }

  #known(): readonly string[] {
    return Object.keys(this.#handlers).filter((type) => !this.#lacks.has(type));
  }

  /** An `error` event; `eventId` is the one of the client's event, if it had any. */
  refuse(error: WireError, eventId: unknown): void {
    const event_id = typeof eventId === 'string' ? eventId : null;
    const { type, code, message, param } = error;
    this.#core.emit('error', { error: { type, code, message, param: param ?? null, event_id } });
  }

  /** The first thing that a client hears. */
  open(): void {
    const { conversation, dialect } = this.#core;
    this.#core.emit('session.created', { session: this.#core.sessionObject() });
    if (!dialect.namesConversation) return;
    this.#core.emit('conversation.created', {
      conversation: { id: conversation.id, object: 'realtime.conversation' },
    });
  }

  speak(plan: ResponsePlan): boolean {
    return this.responder.speak(plan);
  }

  close(): void {
    this.ears.close();
    this.responder.close();
  }

  get isResponding(): boolean {
    return this.responder.active !== undefined;
  }

  callerSpeaks(): void {
    this.responder.interrupt();
  }

  turnEnded(kind: 'user-turn' | 'idle', answer: boolean): void {
    if (!answer || this.#core.config.type === 'transcription') return;
    try {
      this.responder.answer(kind, this.ears.heardMs);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.refuse(thrown.wire, null);
    }
  }

  #update(event: WireEvent): void {
    const core = this.#core;
    core.config = core.dialect.update(core.config, event['session'], {
      hasSpoken: core.spoken.size > 0,
      responding: this.isResponding,
    });
    this.ears.reconfigure();
    core.emit('session.updated', { session: core.sessionObject() });
    if (core.keepsConversation) this.#replay();
  }

  /** What was said before the client came back is told to it, and known to the model. */
  #replay(): void {
    const earlier = this.#earlier;
    this.#earlier = undefined;
    for (const item of earlier?.items ?? []) {
      const previous_item_id = this.#core.conversation.add(silentEntry(String(item['id']), item));
      this.#core.emit('conversation.item.created', { previous_item_id, item });
    }
  }

  #create(event: WireEvent): void {
    const { conversation, dialect, dice } = this.#core;
    const script = dialect.script?.(event['item']);
    if (script !== undefined) {
      this.responder.recite(script);
      return;
    }
    const given = checkItem(event['item'], 'item');
    conversation.checkPlace(given['id'], event['previous_item_id']);
    conversation.checkCall(given, 'item');
    const id = typeof given['id'] === 'string' ? given['id'] : dice.id('item');
    const call = given['type'] === 'function_call' ? { call_id: given['call_id'] ?? dice.id('call') } : {};
    const item = { ...given, ...call, id, object: 'realtime.item', status: 'completed' };
    this.#core.addItem(silentEntry(id, item), event['previous_item_id']);
  }

  #retrieve(event: WireEvent): void {
    this.#core.emit('conversation.item.retrieved', {
      item: this.#find(event, 'retrieve', 'retrieving').item,
    });
  }

  #truncate(event: WireEvent): void {
    const itemId = String(event['item_id']);
    const contentIndex = Number(event['content_index']);
    const audioEndMs = Number(event['audio_end_ms']);
    const entry = this.#core.conversation.truncate(itemId, contentIndex, audioEndMs);
    this.truncations.push({ itemId, contentIndex, audioEndMs, sentMs: entry.sentMs });
    this.#core.emit('conversation.item.truncated', {
      item_id: itemId,
      content_index: contentIndex,
      audio_end_ms: audioEndMs,
    });
  }

  #delete(event: WireEvent): void {
    const { id } = this.#find(event, 'delete', 'deleting');
    this.#core.conversation.remove(id);
    this.#core.fresh = this.#core.fresh.filter((entry) => entry.id !== id);
    this.#core.emit('conversation.item.deleted', { item_id: id });
  }

  #find(event: WireEvent, verb: string, doing: string): Entry {
    const id = event['item_id'];
    const entry = this.#core.conversation.find(id);
    if (entry !== undefined) return entry;
    const message = `Error ${doing} item: the item with id '${String(id)}' does not exist.`;
    throw new Refusal(`item_${verb}_invalid_item_id`, message, 'item_id');
  }

  #respond(event: WireEvent): void {
    if (this.#core.config.type === 'transcription') {
      throw new Refusal('invalid_value', 'A transcription session makes no responses.', 'type');
    }
    this.responder.request(event['response'], this.ears.heardMs);
  }
}

function refuseOutputClear(): never {
  const message = "Event 'output_audio_buffer.clear' is only supported for WebRTC and SIP sessions.";
  throw new Refusal('invalid_value', message, 'type');
}

/** Turns what came over the socket into an event; throws a Refusal when it is none. */
export function readEvent(text: string): WireEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('invalid_json', 'The message could not be parsed as JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('invalid_type', 'A message must be a JSON object.');
  }
  const { type } = value as { readonly type?: unknown };
  if (type === undefined) throw missing('type');
  if (typeof type === 'string') return value as WireEvent;
  throw new Refusal('invalid_type', "Invalid type for 'type': expected a string.", 'type');
}
