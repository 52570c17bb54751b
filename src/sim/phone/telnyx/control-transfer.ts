import type { Callback, LegResult } from '../carrier-sim.ts';
import { pause } from '../pause.ts';
import type { ControlCall } from './control-call.ts';
import type { ControlFact, EventLeg } from './control-events.ts';
import { type Hangup, legHangupOf } from './hangup.ts';
import { newControlId, newLegIds } from './identity.ts';
import { type Body, textOf } from './params.ts';

const RING_S = 30;
const LONGEST_TALK_S = 14_400;
/** How long the file is that the other leg hears first. */
const FILE_MS = 1000;

const CANCELLED: Hangup = { cause: 'originator_cancel', source: 'caller', sip: '487' };
const LEFT: Hangup = { cause: 'normal_clearing', source: 'caller', sip: '200' };

type Post = (leg: EventLeg, fact: ControlFact) => readonly Callback[];

/** The leg that `transfer` rings. It has an id of its own, which commands may name. */
export class OtherLeg {
  readonly controlId = newControlId();
  readonly leg: EventLeg;
  readonly #caller: ControlCall;
  readonly #body: Body;
  readonly #given = new AbortController();
  readonly #startTime: string;
  #state: 'rung' | 'bridged' | 'over' = 'rung';

  constructor(caller: ControlCall, body: Body) {
    this.#caller = caller;
    this.#body = body;
    const own = caller.eventLeg;
    const { sessionId, connectionId } = own.ids;
    this.leg = {
      controlId: this.controlId,
      ids: newLegIds({ sessionId, connectionId }),
      clientState: textOf(body, 'target_leg_client_state'),
      from: textOf(body, 'from') ?? own.to,
      to: textOf(body, 'to') ?? '',
      webhookUrl: textOf(body, 'webhook_url') ?? own.webhookUrl,
    };
    this.#startTime = new Date(caller.call.clock.epoch()).toISOString();
  }

  get isBridged(): boolean {
    return this.#state === 'bridged';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Rings; the caller's leg goes on as it was when nobody takes the call, and ends with the other one when they talked. */
  async ring(): Promise<void> {
    const { call, driver } = this.#caller;
    const { context } = driver;
    const abort = (): void => this.#given.abort();
    call.leaving.addEventListener('abort', abort, { once: true });
    const body = this.#body;
    const result = await context.ring([this.leg.to], textOf(body, 'from'), this.#given.signal, {
      timeoutMs: 1000 * secondsOf(body, 'timeout_secs', RING_S),
      limitMs: 1000 * secondsOf(body, 'time_limit_secs', LONGEST_TALK_S),
      taken: async (signal) => {
        // A call that was still ringing is answered when the other leg is.
        context.answer();
        await this.#playFirst(signal);
        return !signal.aborted;
      },
    });
    call.leaving.removeEventListener('abort', abort);
    // The end of the call tells of this leg too.
    if (call.leaving.aborted) return;
    this.#caller.otherLeg = undefined;
    this.#state = 'over';
    const hasTalked = result.status === 'completed';
    if (hasTalked && body['park_after_unbridge'] !== 'self') call.hangUp('carrier');
  }

  /** The bridge hangs up this leg. */
  hangUp(): void {
    const wasBridged = this.isBridged;
    if (this.isOver) return;
    this.#state = 'over';
    this.#caller.post(this.#hangupFact(wasBridged ? LEFT : CANCELLED), this.leg);
    const { log } = this.#caller.call;
    log.add({ type: 'leg', target: this.leg.to, status: wasBridged ? 'completed' : 'canceled' });
    this.#given.abort();
    if (wasBridged && this.#body['park_after_unbridge'] !== 'self') this.#caller.call.hangUp('carrier');
  }

  /** What is told when the leg has come to this. */
  tell(status: 'ringing' | 'in-progress' | LegResult, post: Post): readonly Callback[] {
    if (this.isOver) return [];
    switch (status) {
      case 'ringing': {
        const fields = { direction: 'outgoing', state: 'bridging', start_time: this.#startTime };
        return post(this.leg, { type: 'call.initiated', kind: 'leg', fields });
      }
      case 'in-progress': {
        this.#state = 'bridged';
        const fields = { state: 'answered', start_time: this.#startTime };
        const bridged: ControlFact = { type: 'call.bridged', kind: 'leg' };
        return [
          ...post(this.leg, { type: 'call.answered', kind: 'leg', fields }),
          ...post(this.#caller.eventLeg, bridged),
          ...post(this.leg, bridged),
        ];
      }
      default:
        this.#state = 'over';
        return post(this.leg, this.#hangupFact(legHangupOf(status)));
    }
  }

  /** The caller has gone: so does this leg. Undefined when it was gone already. */
  leave(): { readonly leg: EventLeg; readonly fact: ControlFact } | undefined {
    if (this.isOver) return undefined;
    const hangup = this.isBridged ? LEFT : CANCELLED;
    this.#state = 'over';
    return { leg: this.leg, fact: this.#hangupFact(hangup) };
  }

  async #playFirst(signal: AbortSignal): Promise<void> {
    const file = textOf(this.#body, 'audio_url') ?? textOf(this.#body, 'media_name');
    if (file === undefined) return;
    const { log, clock } = this.#caller.call;
    log.add({ type: 'leg-told', text: file });
    await pause(clock, FILE_MS, signal);
  }

  #hangupFact({ cause, source, sip }: Hangup): ControlFact {
    const fields = {
      state: 'hangup',
      hangup_cause: cause,
      hangup_source: source,
      sip_hangup_cause: sip,
      start_time: this.#startTime,
    };
    return { type: 'call.hangup', kind: 'leg', fields };
  }
}

function secondsOf(body: Body, name: string, fallback: number): number {
  const value = body[name];
  return typeof value === 'number' ? value : fallback;
}
