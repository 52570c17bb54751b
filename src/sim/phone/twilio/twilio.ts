import { randomBytes } from 'node:crypto';
import type {
  Callback,
  CallHandle,
  CarrierCall,
  CarrierSim,
  Happening,
  RequestLimits,
  StreamPlan,
  TroubleCodes,
  WireRequest,
} from '../carrier-sim.ts';
import type { CallDriver, DriverContext } from '../driver.ts';
import { withoutFragment } from '../http.ts';
import { type DocumentRules, Script } from '../script.ts';
import { streamAddressFault } from '../stream-address.ts';
import { resolveUrl, type StreamVerb } from '../verbs.ts';
import { WIRE_MULAW } from '../wire-audio.ts';
import { TwilioDialect } from './dialect.ts';
import { TWILIO_REST } from './rest.ts';
import { twilioSignature } from './signature.ts';
import { parseTwiml } from './twiml.ts';
import { documentFields, StatusReports, streamEnding, streamReport, webhookHeaders } from './webhooks.ts';

const CODES: TroubleCodes = {
  'http-failure': '11200',
  'no-connection': '11205',
  'content-type': '12300',
  'bad-address': '11100',
  'stream-unanswered': '31901',
  'stream-refused': '31902',
  'stream-broken': '31903',
  'stream-tls': '31910',
  'stream-not-upgraded': '31920',
  'stream-protocol': '31924',
};

/** Twilio: answer documents, mu-law both ways, HMAC-SHA1 over addresses and forms. */
export function createTwilioSim(): CarrierSim {
  return {
    name: 'twilio',
    codes: CODES,
    rest: TWILIO_REST,
    identify: ({ accountSid, authToken, from, to, direction }) => ({
      callId: newSid('CA'),
      accountId: accountSid ?? `AC${'0'.repeat(31)}1`,
      authToken: authToken ?? '12345678901234567890123456789012',
      from: from ?? '+14155550100',
      to: to ?? '+14155550101',
      direction: direction ?? 'inbound',
    }),
    attend: (call) => new TwilioCall(call),
  };
}

class TwilioCall implements CarrierCall {
  readonly #call: CallHandle;
  readonly #reports: StatusReports;

  constructor(call: CallHandle) {
    this.#call = call;
    this.#reports = new StatusReports(call, call.options.statusCallbackUrl);
  }

  drive(context: DriverContext): CallDriver {
    const rules: DocumentRules = {
      contentTypes: ['text/xml', 'application/xml', 'text/html'],
      method: 'POST',
      read: parseTwiml,
      fields: (reason) => documentFields(this.#call, reason),
    };
    return new Script(rules, context);
  }

  tell(happening: Happening): readonly Callback[] {
    switch (happening.type) {
      case 'progress':
        return this.#reports.of(happening);
      case 'stream-started':
        return this.#reportStream(happening, 'stream-started', undefined);
      case 'stream-ended': {
        const [event, error] = streamEnding(this.#call, happening.end);
        return this.#reportStream(happening, event, error);
      }
      default:
        return [];
    }
  }

  headers(request: WireRequest): Readonly<Record<string, string>> {
    return webhookHeaders(this.#call, request);
  }

  // A fragment overrides the limits: #ct=2000&rt=5000&tt=10000&rc=3
  limits(url: string): RequestLimits {
    const settings = new URLSearchParams(url.slice(withoutFragment(url).length + 1));
    return {
      totalMs: bounded(settings.get('tt'), 15_000, 15_000),
      retries: bounded(settings.get('rc'), 1, 5),
    };
  }

  planStream(verb: StreamVerb, baseUrl: string): StreamPlan {
    // Relative addresses are meant relative to the document; what is absolute is signed letter by letter.
    const absolute = resolveUrl(verb.url, baseUrl.replace(/^http/i, 'ws'), CODES);
    const url = absolute.replace(/[?#].*$/s, '');
    const failure = findFailure(url, verb.track);
    if (failure === undefined && verb.url.includes('?')) {
      this.#call.log.warn('31922', 'the query of the stream address is not used');
    }
    const streamId = newSid('MZ');
    return {
      url,
      streamId,
      failure,
      headers: () => this.#upgradeHeaders(url),
      subprotocol: undefined,
      sends: WIRE_MULAW,
      takes: WIRE_MULAW,
      marksOnClear: 'echoed',
      reopen: { times: 0, delayMs: 0 },
      dialect: () => new TwilioDialect(this.#call, streamId, verb.parameters),
    };
  }

  #upgradeHeaders(url: string): Record<string, string> {
    const { faults, identity } = this.#call;
    const headers: Record<string, string> = { 'user-agent': 'Twilio.TmeWs/1.0' };
    if (faults.upgradeSignature === 'missing') return headers;
    const signed = faults.upgradeSignature === 'bad' ? `${url}/another` : url;
    headers['x-twilio-signature'] = twilioSignature(identity.authToken, signed);
    return headers;
  }

  #reportStream(
    stream: { readonly verb: StreamVerb; readonly plan: StreamPlan; readonly baseUrl: string },
    event: 'stream-started' | 'stream-stopped' | 'stream-error',
    error: string | undefined,
  ): readonly Callback[] {
    const { verb, plan, baseUrl } = stream;
    if (verb.statusCallback === undefined) return [];
    const url = resolveUrl(verb.statusCallback, baseUrl, CODES);
    return [streamReport(this.#call, { verb, plan, url }, event, error)];
  }
}

function findFailure(url: string, track: string | undefined): readonly [string, string] | undefined {
  switch (streamAddressFault(url)) {
    case 'malformed':
      return ['31923', 'the stream address is malformed'];
    case 'not-secure':
      return ['31922', 'the scheme of the stream address must be wss'];
    case undefined:
      break;
  }
  if (track !== undefined && track !== 'inbound_track') return ['31941', `track ${track} under <Connect>`];
  return undefined;
}

function bounded(text: string | null, fallback: number, most: number): number {
  const value = text === null ? fallback : Number(text);
  return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : fallback;
}

/** `prefix` and 32 hexadecimal digits. */
function newSid(prefix: 'CA' | 'MZ'): string {
  return prefix + randomBytes(16).toString('hex');
}
