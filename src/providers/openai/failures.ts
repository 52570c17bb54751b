import { assertNever, BridgeError } from '../../errors.ts';
import type { ProviderEvent } from '../../provider.ts';
import { codeWord } from '../common/limits.ts';
import type { Scrub } from '../common/network.ts';
import { type Report, report, retryDelay } from './errors.ts';
import { type Topic, topicOf } from './messages.ts';
import type { Response } from './responses.ts';
import type { ResponseSequencer } from './sequencer.ts';
import type { Strike, Troubles } from './troubles.ts';
import type { Done, WireError } from './wire.ts';

interface FailuresPorts {
  readonly sequencer: ResponseSequencer;
  readonly troubles: Troubles;
  readonly scrub: Scrub;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
  /** From now on requests go without metadata; false when they did already. */
  untag(): boolean;
}

/** `known`: it was reported as an error event before. */
export interface Failure {
  readonly error: BridgeError;
  readonly outcome: 'fatal' | 'report' | 'known';
}

const BROKEN: Report = { code: 'PROVIDER_UNAVAILABLE', severity: 'sticky' };

/** A limit passes by itself, unlike a server that is broken. */
const RATE_LIMITS_BORNE = 2;

/** Before the next try, when the provider asked for patience. */
function waitFor(error: BridgeError): number | undefined {
  return error.code === 'PROVIDER_RATE_LIMITED' ? retryDelay(error.message) : undefined;
}

/** What becomes of the errors that the provider reports while the session stands. */
export class Failures {
  readonly #ports: FailuresPorts;

  constructor(ports: FailuresPorts) {
    this.#ports = ports;
  }

  /** Undefined unless the response failed. */
  judge(event: Done, response: Response): Failure | undefined {
    if (event.status !== 'failed') return undefined;
    const found = event.error ? report(event.error.code, event.error.kind) : BROKEN;
    const words = this.#ports.scrub(event.error?.message ?? 'no reason given');
    const error = new BridgeError(found.code, `a response failed: ${words}`);
    if (found.severity === 'fatal') return { error, outcome: 'fatal' };
    if (found.severity !== 'sticky') return { error, outcome: 'report' };
    const waitMs = waitFor(error);
    const strike = this.#strike(waitMs);
    if (strike === 'again') return { error, outcome: 'fatal' };
    const silent = !response.discarded && response.items.every((item) => item.received === 0);
    if (silent) this.#ports.sequencer.retry(event.responseId, waitMs);
    return { error, outcome: strike === 'same' ? 'known' : 'report' };
  }

  /** An error event. */
  report(error: WireError): void {
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
        this.#ports.sequencer.refused(token, 'busy');
        return;
      case 'sticky':
        this.#onTrouble(failure, token);
        return;
      case 'noted':
        this.#warn(codeWord(error.code, 'provider'), error.message);
        return;
      case 'rejected':
        this.#onRejected(failure, error, topic);
        return;
      default:
        assertNever(found.severity);
    }
  }

  #strike(waitMs: number | undefined): Strike {
    return this.#ports.troubles.strike(waitMs === undefined ? 1 : RATE_LIMITS_BORNE);
  }

  #onTrouble(error: BridgeError, token: string | undefined): void {
    const waitMs = waitFor(error);
    const strike = this.#strike(waitMs);
    if (strike === 'again') {
      this.#ports.fail(error);
      return;
    }
    if (strike === 'first') this.#ports.emit({ type: 'error', error, fatal: false });
    if (token !== undefined) this.#ports.sequencer.refused(token, 'retry', waitMs);
  }

  // A correction that fails costs a little accuracy of the conversation, never the call.
  #onRejected(failure: BridgeError, error: WireError, topic: Topic | undefined): void {
    if (topic === 'truncate' || topic === 'delete' || topic === 'cancel' || topic === 'history') {
      this.#warn(codeWord(error.code, `${topic}_rejected`), `${topic}: ${error.message}`);
      return;
    }
    if (topic === 'response' || this.#isAboutRequest(error)) {
      if (/metadata/i.test(`${error.param} ${error.message}`) && this.#ports.untag()) {
        this.#warn('metadata_rejected', error.message);
        this.#ports.sequencer.refused(error.eventId, 'reworded');
        return;
      }
      this.#ports.sequencer.refused(error.eventId, 'rejected');
    }
    this.#ports.emit({ type: 'error', error: failure, fatal: false });
  }

  // Compatible servers do not say what they refuse; with a request under way it is most likely that.
  #isAboutRequest(error: WireError): boolean {
    return (
      error.eventId === undefined && error.kind === 'invalid_request_error' && this.#ports.sequencer.awaiting
    );
  }

  #warn(code: string, message: string): void {
    this.#ports.emit({ type: 'warning', code, message: this.#ports.scrub(message) });
  }
}
