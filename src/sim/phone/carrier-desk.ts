import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { EventLog } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import { type CarrierResponse, type HttpContext, send } from './http.ts';
import type { FormFields } from './signature.ts';

/** Values of CallStatus that a call of the simulated phone goes through. */
export type CallStatus =
  | 'initiated'
  | 'ringing'
  | 'in-progress'
  | 'completed'
  | 'busy'
  | 'no-answer'
  | 'canceled'
  | 'failed';

/** Who is calling whom. */
export interface CallIdentity {
  readonly accountSid: string;
  readonly callSid: string;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound-api';
  /** Further form fields of every webhook. */
  readonly extraFields: FormFields;
}

/** Where the carrier gets its instructions on a call. */
export interface Source {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly fields: FormFields;
}

interface DeskSetup {
  readonly identity: CallIdentity;
  readonly faults: PhoneFaults;
  readonly statusCallbackUrl: string | undefined;
}

/** All HTTP that the carrier does for one call: webhooks for documents, and callbacks that change nothing. */
export class CarrierDesk {
  readonly #setup: DeskSetup;
  readonly #context: HttpContext;
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #held: (() => Promise<void>)[] = [];
  #deliveries: Promise<void> = Promise.resolve();
  #sequence = 0;
  #status: CallStatus = 'ringing';

  constructor(setup: DeskSetup, context: HttpContext, log: EventLog) {
    this.#setup = setup;
    this.#context = context;
    this.#clock = context.clock;
    this.#log = log;
  }

  get status(): CallStatus {
    return this.#status;
  }

  /** Asks for a document. Rejects with a BridgeError when there is no usable answer. */
  async webhook(source: Source): Promise<CarrierResponse> {
    const answer = await this.#deliver(source);
    this.#log.add({
      type: 'webhook',
      url: source.url,
      status: answer.status,
      attempts: answer.attempts,
      body: answer.body,
    });
    if (answer.status < 200 || answer.status > 299) {
      throw new BridgeError('CARRIER_REFUSED', `11200: ${source.url} answered with HTTP ${answer.status}`);
    }
    return answer;
  }

  /** Tells the status callback how the call stands. Later ones wait for earlier ones, so the order is kept. */
  progress(status: CallStatus, durationS: number | undefined = undefined): void {
    this.#status = status;
    const url = this.#setup.statusCallbackUrl;
    if (url === undefined) return;
    const fields: Record<string, string> = {
      CallbackSource: 'call-progress-events',
      SequenceNumber: String(this.#sequence++),
      Timestamp: new Date(this.#clock.epoch()).toUTCString().replace('GMT', '+0000'),
    };
    if (durationS !== undefined) {
      fields['CallDuration'] = String(durationS);
      fields['Duration'] = String(Math.ceil(durationS / 60));
      fields['SipResponseCode'] = '200';
    }
    const source: Source = { url, method: 'POST', fields: { ...this.fields(), ...fields } };
    this.#queue(() => this.#callBack('progress', status, source));
  }

  /** Tells the stream status callback what became of a stream. */
  stream(
    to: { readonly url: string; readonly method: 'GET' | 'POST' },
    event: 'stream-started' | 'stream-stopped' | 'stream-error',
    stream: { readonly sid: string; readonly name: string; readonly error: string | undefined },
  ): void {
    const fields: Record<string, string> = {
      AccountSid: this.#setup.identity.accountSid,
      CallSid: this.#setup.identity.callSid,
      StreamSid: stream.sid,
      StreamName: stream.name,
      StreamEvent: event,
      Timestamp: new Date(this.#clock.epoch()).toISOString(),
    };
    if (stream.error !== undefined) fields['StreamError'] = stream.error;
    this.#deliveries = Promise.all([
      this.#deliveries,
      this.#callBack('stream', event, { url: to.url, method: to.method, fields }),
    ]).then(() => undefined);
  }

  /** Resolves when every callback was answered or given up; never rejects. */
  settled(): Promise<void> {
    for (const deliver of this.#held.reverse().splice(0)) this.#chain(deliver);
    return this.#deliveries;
  }

  /** Form fields that Twilio sends along with every request about a call, and some that nobody knows yet. */
  fields(): FormFields {
    const { accountSid, callSid, from, to, direction, extraFields } = this.#setup.identity;
    return {
      AccountSid: accountSid,
      ApiVersion: '2010-04-01',
      CallSid: callSid,
      CallStatus: this.#status,
      CallToken: '%7B%22parentCallInfoToken%22%3A%22simulated%22%7D',
      Direction: direction,
      From: from,
      Caller: from,
      FromCity: 'SAN FRANCISCO',
      FromState: 'CA',
      FromZip: '94105',
      FromCountry: 'US',
      CallerCity: 'SAN FRANCISCO',
      CallerState: 'CA',
      CallerZip: '94105',
      CallerCountry: 'US',
      CallerName: "José  O'Neil",
      To: to,
      Called: to,
      ToCity: '',
      ToState: 'CA',
      ToZip: '',
      ToCountry: 'US',
      CalledCity: '',
      CalledState: 'CA',
      CalledZip: '',
      CalledCountry: 'US',
      StirVerstat: 'TN-Validation-Passed-A',
      FieldOfTomorrow: 'ü + a&b=c%20 "’"',
      ...extraFields,
    };
  }

  #queue(deliver: () => Promise<void>): void {
    if (this.#setup.faults.reverseProgress) this.#held.push(deliver);
    else this.#chain(deliver);
  }

  #chain(deliver: () => Promise<void>): void {
    this.#deliveries = this.#deliveries.then(deliver);
  }

  async #deliver(source: Source): Promise<CarrierResponse> {
    const token = randomUUID();
    switch (this.#setup.faults.duplicateWebhook) {
      case 'none':
        return await this.#send(source, token);
      case 'retry':
        await this.#send(source, token);
        return await this.#send(source, token);
      case 'concurrent': {
        const [first] = await Promise.all([this.#send(source, token), this.#send(source, token)]);
        return first;
      }
    }
  }

  async #callBack(kind: 'progress' | 'stream', event: string, source: Source): Promise<void> {
    if (this.#context.signal.aborted) return;
    let status = 0;
    try {
      status = (await this.#send(source, randomUUID())).status;
    } catch (thrown) {
      this.#log.warn('11200', BridgeError.from(thrown).message);
    }
    this.#log.add({ type: 'callback', kind, event, status });
  }

  #send(source: Source, idempotencyToken: string): Promise<CarrierResponse> {
    const signature = this.#setup.faults.webhookSignature;
    return send({ ...source, idempotencyToken, signature }, this.#context);
  }
}
