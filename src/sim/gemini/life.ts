import type { Cancel } from '../../clock.ts';
import type { JsonObject } from '../common/json.ts';
import type { Door } from './address.ts';
import type { Core } from './core.ts';
import { readSetup, type SessionConfig } from './setup.ts';
import { invalid, Refusal } from './wire.ts';

/** What the life of a session asks of its connection. */
export interface LifeHost {
  goAway(leftMs: number): void;
}

/** A session from its setup to its end: the limits of time, and the handles to go on from. */
export class Life {
  handle: string | undefined;
  readonly #core: Core;
  readonly #door: Door;
  readonly #host: LifeHost;
  readonly #timers: Cancel[] = [];
  #state: 'new' | 'setting-up' | 'ready' = 'new';
  #openedMs = 0;
  /** Of the conversation before this connection. */
  #earlierMs = 0;
  #messages = 0;

  constructor(core: Core, door: Door, host: LifeHost) {
    this.#core = core;
    this.#door = door;
    this.#host = host;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  countMessage(): void {
    this.#messages++;
  }

  open(): void {
    this.#openedMs = this.#core.scheduler.now();
    this.#endIn(this.#core.settings.sessionMs);
  }

  #endIn(ms: number): void {
    const { scheduler, settings } = this.#core;
    if (settings.goAwayMs < Number.POSITIVE_INFINITY) {
      const leftMs = Math.min(settings.goAwayMs, ms);
      this.#timers.push(scheduler.after(ms - leftMs, () => this.#sayGoAway(leftMs)));
    }
    this.#timers.push(scheduler.after(ms, () => this.#core.end(settings.endClose)));
  }

  #sayGoAway(leftMs: number): void {
    if (this.#state === 'ready') this.#host.goAway(leftMs);
  }

  /** Takes the setup; throws a Refusal. `opened` runs when `setupComplete` was sent. */
  begin(setup: JsonObject, opened: () => void): void {
    if (this.#state !== 'new') throw invalid('nothing may be sent before setupComplete but one setup');
    const { settings, scheduler } = this.#core;
    const config = readSetup(setup, this.#door, settings);
    const handle = config.resumption?.handle;
    if (handle !== undefined) this.#resume(handle, config);
    this.#core.config = config;
    this.#state = 'setting-up';
    if (config.compression === undefined) this.#limitConversation();
    if (settings.setupMs === 0) this.#ready(opened);
    else this.#timers.push(scheduler.after(settings.setupMs, () => this.#ready(opened)));
  }

  #ready(opened: () => void): void {
    this.#state = 'ready';
    const { config, dice } = this.#core;
    opened();
    this.#core.emit({ setupComplete: config.isVertex ? { sessionId: dice.id('session') } : {} });
    this.busy(false);
  }

  #resume(handle: string, config: SessionConfig): void {
    const saved = this.#core.sessions.find(handle);
    if (saved === undefined) {
      const { staleHandle } = this.#core.settings;
      throw staleHandle === 1008
        ? new Refusal(1008, 'BidiGenerateContent session not found')
        : invalid('the handle of the session is not known');
    }
    if (saved.model !== config.model) throw invalid('a session goes on with the model that it began with');
    this.#core.conversation.restore(saved.conversation);
    this.#earlierMs = saved.ageMs;
  }

  #limitConversation(): void {
    const { settings } = this.#core;
    const leftMs = settings.conversationMs - this.#ageMs();
    if (leftMs >= settings.sessionMs) return;
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#endIn(Math.max(0, leftMs));
  }

  #ageMs(): number {
    return this.#earlierMs + this.#core.scheduler.now() - this.#openedMs;
  }

  /** While the model is busy there is no handle to go on from. */
  busy(isBusy: boolean): void {
    if (this.#state !== 'ready') return;
    const { resumption, model } = this.#core.config;
    if (resumption === undefined) return;
    const index = resumption.transparent ? { lastConsumedClientMessageIndex: String(this.#messages) } : {};
    if (isBusy) {
      const told = this.#core.settings.spellsFalse ? { newHandle: '', resumable: false } : {};
      this.#core.emit({ sessionResumptionUpdate: { ...told, ...index } });
      return;
    }
    const conversation = this.#core.conversation.turns;
    this.handle = this.#core.sessions.save(this.#core.dice, { model, conversation, ageMs: this.#ageMs() });
    this.#core.emit({ sessionResumptionUpdate: { newHandle: this.handle, resumable: true, ...index } });
  }

  close(): void {
    for (const cancel of this.#timers.splice(0)) cancel();
  }
}
