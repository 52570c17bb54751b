import { isBuiltInVariable } from './agents-file/template.ts';
import { callKey } from './call-key.ts';
import type { Carrier, CarrierName, IncomingCall } from './carrier.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { bridgeRecords } from './recording-terms.ts';
import type { Assignment, Roster } from './roster.ts';
import type { Admission, SessionManager } from './session-manager.ts';

/** Why a call is not let in. */
export type Refusal = 'busy' | 'rejected' | 'over';

export interface ReceptionDeps {
  readonly roster: Roster;
  readonly manager: () => SessionManager;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The bridge has placed this call and does not want it any more. */
  gaveUp(ref: string | undefined): boolean;
  /** Calls are about to be recorded by the bridge. May reject. */
  readonly prepareRecording?: (() => Promise<void>) | undefined;
  /** Milliseconds since 1970 UTC. */
  epoch(): number;
}

interface Asking {
  readonly admission: Promise<Admission | Refusal>;
  readonly abort: AbortController;
  /** It was placed by the bridge and has its room. */
  readonly reserved: boolean;
}

/** Where calls come in: finds out who is to take each, and lets it in or not. */
export class Reception {
  readonly #deps: ReceptionDeps;
  /** Calls about which somebody is being asked. */
  readonly #asking = new Map<string, Asking>();

  constructor(deps: ReceptionDeps) {
    this.#deps = deps;
  }

  /** Calls that may be let in and need room then. */
  get pending(): number {
    let count = 0;
    for (const { reserved } of this.#asking.values()) if (!reserved) count += 1;
    return count;
  }

  /**
   * A call, or the same one again when the carrier repeats its webhook. A promise only where somebody has to be asked;
   * it never rejects.
   * @param reserved the call was placed by the bridge and has its room
   */
  receive(
    carrier: Carrier,
    call: IncomingCall,
    reserved: boolean,
  ): Admission | Refusal | Promise<Admission | Refusal> {
    const known = this.#deps.manager().known(carrier.name, call.callId);
    if (known !== undefined) return known;
    const key = callKey(carrier.name, call.callId);
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking.admission;
    if (!reserved && !this.#deps.manager().hasRoom) return this.#noRoom(call.callId);
    const { roster } = this.#deps;
    const spent = roster.spent(call);
    if (spent !== undefined) return this.#spent(call, spent);
    const route = roster.route(carrier.name, call);
    const { ask } = route;
    if (ask === undefined) return this.#admit(carrier, call, reserved, route);
    const abort = new AbortController();
    const admission = this.#ask(carrier, call, reserved, { ...route, ask }, abort.signal);
    this.#asking.set(key, { admission, abort, reserved });
    return admission;
  }

  /** The call is over, of which the manager knows too, or was given up, of which `gaveUp` knows. */
  callOver(carrier: CarrierName, callId: string): void {
    this.#asking.get(callKey(carrier, callId))?.abort.abort(new BridgeError('CANCELLED', 'the call is over'));
  }

  /** Nobody is asked any more; who was being asked about is not let in. */
  close(): void {
    for (const { abort } of this.#asking.values())
      abort.abort(new BridgeError('CANCELLED', 'the service is stopping'));
  }

  async #ask(
    carrier: Carrier,
    call: IncomingCall,
    reserved: boolean,
    { agent, variables, ask }: Assignment & { readonly ask: NonNullable<Assignment['ask']> },
    signal: AbortSignal,
  ): Promise<Admission | Refusal> {
    const { log, epoch } = this.#deps;
    const { callId, from, to, direction, callerName } = call;
    const at = epoch();
    const request = { callId, carrier: carrier.name, from, to, direction, callerName, agent, variables, at };
    try {
      const answer = await ask(request, signal);
      const wish = answer.type === 'answer' ? answer.recording : undefined;
      if (bridgeRecords(wish)) await this.#prepare(callId);
      // Its place is its own now.
      this.#asking.delete(callKey(carrier.name, callId));
      if (this.#deps.gaveUp(call.ref)) return 'over';
      if (answer.failed !== undefined && !signal.aborted)
        log.error(
          { callId, code: answer.failed.code, detail: answer.failed.message, onFailure: answer.type },
          'the start webhook failed',
        );
      if (!signal.aborted)
        this.#deps.metrics.startWebhook(answer.failed === undefined ? answer.type : 'failed');
      if (answer.type === 'reject') {
        log.info({ callId, reason: answer.reason }, 'call refused by the start webhook');
        return answer.reason;
      }
      // Once more: others may have spent it, and the agents may be others by now.
      const spent = this.#deps.roster.spent(call);
      if (spent !== undefined) return this.#spent(call, spent);
      const now = this.#deps.roster.route(carrier.name, call);
      const wanted = this.#wanted(callId, answer.agent, now.agent);
      const answered = this.#settable(callId, answer.variables);
      const known = { ...now.variables, ...answered, ...now.ordered };
      return this.#admit(carrier, call, reserved, {
        agent: wanted,
        variables: known,
        recording: now.recording ?? wish,
      });
    } catch (thrown) {
      this.#asking.delete(callKey(carrier.name, callId));
      log.error({ callId, err: BridgeError.from(thrown) }, 'a call could not be let in');
      return 'busy';
    }
  }

  /** Better a call that is not recorded than none. */
  async #prepare(callId: string): Promise<void> {
    try {
      await this.#deps.prepareRecording?.();
    } catch (thrown) {
      this.#deps.log.error({ callId, err: BridgeError.from(thrown) }, 'a call cannot be recorded');
    }
  }

  #spent({ callId }: IncomingCall, refusal: 'busy' | 'rejected'): 'busy' | 'rejected' {
    this.#deps.log.warn({ callId }, 'call refused: what may be spent today has been spent');
    return refusal;
  }

  #noRoom(callId: string): 'busy' {
    const { size, draining } = this.#deps.manager();
    this.#deps.log.warn({ callId, calls: size, draining }, 'call refused: busy');
    return 'busy';
  }

  /** Without those of the bridge: what it knows of a call itself is for nobody else to say. */
  #settable(callId: string, given: Assignment['variables']): Assignment['variables'] {
    const taken = Object.keys(given).filter(isBuiltInVariable);
    if (taken.length === 0) return given;
    this.#deps.log.warn(
      { callId, variables: taken },
      'the start webhook sets variables that the bridge fills in; they are left out',
    );
    return Object.fromEntries(Object.entries(given).filter(([name]) => !isBuiltInVariable(name)));
  }

  /** A caller is not to suffer for a name that somebody has misspelt. */
  #wanted(callId: string, answered: string | undefined, routed: string | undefined): string | undefined {
    if (answered === undefined || this.#deps.roster.knows(answered)) return answered ?? routed;
    this.#deps.log.error({ callId, agent: answered }, 'the start webhook names an agent that there is not');
    return routed;
  }

  #admit(
    carrier: Carrier,
    call: IncomingCall,
    reserved: boolean,
    { agent, variables, recording }: Pick<Assignment, 'agent' | 'variables' | 'recording'>,
  ): Admission | Refusal {
    const { roster, log } = this.#deps;
    const terms =
      agent === undefined ? undefined : roster.termsFor(agent, carrier.name, call, variables, recording);
    if (terms !== undefined) {
      const admission = this.#deps.manager().admit(carrier, call, terms, reserved);
      return admission === 'busy' ? this.#noRoom(call.callId) : admission;
    }
    const pii = { to: call.to };
    log.error({ callId: call.callId, agent, pii }, 'call refused: no agent takes calls of this number');
    return 'rejected';
  }
}
