import { type Clock, systemClock } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import { speedOf } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { Hearing, OpenAiSimulatorOptions, ResponsePlan, Turn } from './api.ts';
import { Conversation, type Entry } from './conversation.ts';
import type { DialectName, ServerDialect } from './dialect.ts';
import type { FaultRule } from './faults.ts';
import { defaultSession, type SessionConfig } from './session-config.ts';

/** The options of a simulator with every default filled in. */
export interface Settings {
  readonly port: number;
  readonly host: string;
  readonly apiKey: string | undefined;
  readonly clock: Clock;
  readonly seed: number;
  readonly sessionMs: number;
  readonly speedFactor: number;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  readonly handshakeDelayMs: number;
  readonly dialect: DialectName;
  readonly lacks: readonly string[];
  readonly semanticWaitsMs: Readonly<Record<'low' | 'medium' | 'high', number>>;
  readonly models: readonly string[] | undefined;
  readonly keepAudio: boolean;
  readonly keepEvents: number;
  readonly respond: (turn: Turn) => ResponsePlan | undefined;
  readonly hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults: readonly FaultRule[];
}

const DEFAULTS = {
  port: 0,
  host: '127.0.0.1',
  apiKey: undefined,
  clock: systemClock,
  seed: 1,
  sessionMs: 60 * 60_000,
  firstAudioMs: 250,
  deltaMs: 100,
  handshakeDelayMs: 0,
  dialect: 'ga',
  lacks: [],
  semanticWaitsMs: { low: 2_000, medium: 1_000, high: 500 },
  models: undefined,
  keepAudio: false,
  keepEvents: 2_000,
  respond: () => undefined,
  hear: () => undefined,
  faults: [],
} as const;

export function resolveOptions(options: OpenAiSimulatorOptions): Settings {
  return { ...DEFAULTS, ...options, speedFactor: speedOf(options.speedFactor ?? 4) };
}

/** What the parts of one session share. */
export class Core {
  config: SessionConfig;
  readonly conversation: Conversation;
  readonly dialect: ServerDialect;
  readonly connection: number;
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly voice: Voice;
  /** Items that came since the last response. */
  fresh: Entry[] = [];
  /** Every item that audio was sent for, deleted ones and those beside the conversation too. */
  readonly spoken = new Map<string, Entry>();
  readonly #sessionId: string;
  readonly #expiresAt: number;
  readonly #send: (type: string, fields: JsonObject) => void;

  constructor(parts: {
    readonly settings: Settings;
    readonly connection: number;
    readonly scheduler: Scheduler;
    readonly dice: Dice;
    readonly voice: Voice;
    readonly model: string;
    readonly type: SessionConfig['type'];
    readonly dialect: ServerDialect;
    /** Of a conversation that is gone on with. */
    readonly conversationId: string | undefined;
    readonly send: (type: string, fields: JsonObject) => void;
  }) {
    this.settings = parts.settings;
    this.connection = parts.connection;
    this.scheduler = parts.scheduler;
    this.dice = parts.dice;
    this.voice = parts.voice;
    this.dialect = parts.dialect;
    this.config = parts.dialect.starts(defaultSession(parts.model, parts.type));
    this.conversation = new Conversation(parts.conversationId ?? parts.dice.id('conv'));
    this.#sessionId = parts.dice.id('sess');
    this.#expiresAt = Math.floor((parts.scheduler.epoch() + parts.settings.sessionMs) / 1000);
    this.#send = parts.send;
  }

  /** The session as `session.created` and `session.updated` show it. */
  sessionObject(): JsonObject {
    const end = this.dialect.namesEnd ? { expires_at: this.#expiresAt } : {};
    return { object: 'realtime.session', id: this.#sessionId, ...end, ...this.dialect.show(this.config) };
  }

  /** The client wants to be able to go on with this conversation in another session. */
  get keepsConversation(): boolean {
    const { resumption } = this.config.own;
    return this.dialect.resumes === true && isObject(resumption) && resumption['enabled'] === true;
  }

  emit(type: string, fields: JsonObject): void {
    this.#send(type, fields);
  }

  /** Adds an item that is complete at once, and says so. */
  addItem(entry: Entry, previous?: unknown): void {
    const previousId = this.conversation.add(entry, previous);
    this.fresh.push(entry);
    this.emit('conversation.item.added', { previous_item_id: previousId, item: entry.item });
    this.emit('conversation.item.done', { previous_item_id: previousId, item: entry.item });
  }
}
