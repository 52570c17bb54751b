import { createHash } from 'node:crypto';
import type {
  BridgeMessage,
  Callback,
  CallHandle,
  CarrierCall,
  CarrierSim,
  Complaint,
  FrameTrouble,
  Happening,
  MediaDialect,
  RestReply,
  RestRequest,
  RestRules,
  StreamPlan,
  TroubleCodes,
  WireRequest,
} from '../../src/sim/phone/carrier-sim.ts';
import type { CallDriver, DriverContext, DriverEnd, RunningStream } from '../../src/sim/phone/driver.ts';
import type { EndedBy } from '../../src/sim/phone/events.ts';
import { Script } from '../../src/sim/phone/script.ts';
import type { Replacement, StreamVerb, Verb } from '../../src/sim/phone/verbs.ts';
import type { WireFormat } from '../../src/sim/phone/wire-audio.ts';

/** A carrier that nobody has, and that differs from Twilio wherever a carrier may. */
export interface OddTerms {
  readonly sends: WireFormat;
  readonly takes: WireFormat;
  /** Led by commands; else by documents, which are the verbs themselves as JSON. */
  readonly commands: boolean;
}

export const BIG_16K: WireFormat = { encoding: 'l16', rate: 16000, byteOrder: 'big' };

const CODES: TroubleCodes = {
  'http-failure': 'http_failure',
  'no-connection': 'no_connection',
  'content-type': 'content_type',
  'bad-address': 'bad_address',
  'stream-unanswered': 'stream_unanswered',
  'stream-refused': 'stream_refused',
  'stream-broken': 'stream_broken',
  'stream-tls': 'stream_tls',
  'stream-not-upgraded': 'stream_not_upgraded',
  'stream-protocol': 'stream_protocol',
};

export function createOddCarrier(terms: Partial<OddTerms> = {}): CarrierSim {
  const all: OddTerms = { sends: BIG_16K, takes: BIG_16K, commands: false, ...terms };
  const driving = new WeakMap<CallHandle, Commands>();
  let calls = 0;
  return {
    name: 'plivo',
    codes: CODES,
    rest: oddRest(driving),
    identify: ({ from = '111', to = '222', direction = 'inbound', authToken = 'secret' }) => ({
      callId: `odd:${++calls}`,
      accountId: 'account',
      authToken,
      from,
      to,
      direction,
    }),
    attend: (call) => new OddCall(call, all, driving),
  };
}

class OddCall implements CarrierCall {
  readonly #call: CallHandle;
  readonly #terms: OddTerms;
  readonly #driving: WeakMap<CallHandle, Commands>;
  #streams = 0;

  constructor(call: CallHandle, terms: OddTerms, driving: WeakMap<CallHandle, Commands>) {
    this.#call = call;
    this.#terms = terms;
    this.#driving = driving;
  }

  drive(context: DriverContext): CallDriver {
    if (this.#terms.commands) {
      const commands = new Commands(context, this.#call);
      this.#driving.set(this.#call, commands);
      return commands;
    }
    return new Script(
      {
        contentTypes: ['application/json'],
        method: 'GET',
        read: (text) => ({ verbs: JSON.parse(text) as Verb[], warnings: [] }),
        fields: (reason) => ({ call: this.#call.identity.callId, why: reason.why }),
      },
      context,
    );
  }

  tell(happening: Happening): readonly Callback[] {
    const url = this.#call.options.statusCallbackUrl;
    if (url === undefined) return [];
    const event = happening.type === 'progress' ? happening.status : happening.type;
    const what =
      happening.type === 'stream-ended' || happening.type === 'stream-started'
        ? { streamId: happening.plan.streamId }
        : happening;
    const kind = happening.type === 'progress' ? 'progress' : 'machine';
    return [{ kind, event, url, method: 'POST', payload: { json: { event, what } } }];
  }

  headers({ url, body, deliveryId }: WireRequest): Record<string, string> {
    return {
      'x-odd': createHash('sha256').update(`${url}|${body}|${this.#call.identity.authToken}`).digest('hex'),
      'x-delivery': deliveryId,
    };
  }

  limits() {
    return { totalMs: 5000, retries: 0 };
  }

  planStream(verb: StreamVerb): StreamPlan {
    const streamId = `stream-${++this.#streams}`;
    return {
      url: verb.url,
      streamId,
      failure: verb.url === '' ? ['no_address', 'the stream has no address'] : undefined,
      headers: () => ({ 'x-nonce': streamId }),
      subprotocol: 'audio.odd.example',
      sends: this.#terms.sends,
      takes: this.#terms.takes,
      marksOnClear: 'dropped',
      reopen: { times: 2, delayMs: 1000 },
      dialect: () => new OddDialect(streamId, this.#call),
    };
  }
}

class OddDialect implements MediaDialect {
  readonly #streamId: string;
  readonly #call: CallHandle;
  #sequence = 0;

  constructor(streamId: string, call: CallHandle) {
    this.#streamId = streamId;
    this.#call = call;
  }

  connected(): undefined {
    return undefined;
  }

  start(): string {
    return this.#text({ event: 'start', streamId: this.#streamId, callId: this.#call.identity.callId });
  }

  media(timestampMs: number, payload: string): string {
    return this.#text({ event: 'media', timestampMs, payload });
  }

  mark(name: string): string {
    return this.#text({ event: 'played', name });
  }

  key(digit: string): string {
    return this.#text({ event: 'key', digit });
  }

  cleared(): string {
    return this.#text({ event: 'cleared' });
  }

  stop(): undefined {
    return undefined;
  }

  unknown(): string {
    return this.#text({ event: 'weather' });
  }

  read(text: string): BridgeMessage {
    const message = JSON.parse(text) as Record<string, string>;
    const complaint = undefined;
    switch (message['event']) {
      case 'media':
        return { type: 'media', payload: message['payload'] ?? '', complaint };
      case 'mark':
        return { type: 'mark', name: message['name'] ?? '', complaint };
      case 'clear':
        return { type: 'clear', complaint };
      case 'keys':
        return { type: 'keys', digits: message['digits'] ?? '', complaint };
      case 'nothing':
        return { type: 'ignored', complaint };
      default:
        return { type: 'ignored', complaint: this.#complaint('malformed_frame', 'an unknown event') };
    }
  }

  complain(about: FrameTrouble, text: string): Complaint {
    return this.#complaint(about === 'bad-audio' ? 'invalid_media' : 'malformed_frame', text);
  }

  #complaint(code: string, text: string): Complaint {
    return { code, text, reply: this.#text({ event: 'error', code }) };
  }

  #text(message: Readonly<Record<string, unknown>>): string {
    return JSON.stringify({ ...message, sequence: ++this.#sequence });
  }
}

/** A driver that does what it is told by REST. */
class Commands implements CallDriver {
  readonly #context: DriverContext;
  readonly #call: CallHandle;
  readonly #leaving = new AbortController();
  #end: (end: DriverEnd) => void = () => {};
  #stream: RunningStream | undefined;
  readonly #ended = new Promise<DriverEnd>((resolve) => {
    this.#end = resolve;
  });

  constructor(context: DriverContext, call: CallHandle) {
    this.#context = context;
    this.#call = call;
  }

  async run(): Promise<DriverEnd> {
    const { desk, webhookUrl } = this.#context;
    const json = { event: 'incoming', call: this.#call.identity.callId };
    await desk.webhook({ url: webhookUrl, method: 'POST', payload: { json } });
    return await this.#ended;
  }

  hangUp(by: EndedBy): void {
    this.#leaving.abort();
    this.#end({ by, outcome: 'completed' });
  }

  replace(_replacement: Replacement): boolean {
    return false;
  }

  async command(name: string, body: Readonly<Record<string, string>>): Promise<number> {
    const { signal } = this.#leaving;
    switch (name) {
      case 'answer':
        this.#context.answer();
        return 200;
      case 'stream':
        this.#stream = await this.#context.openStream(streamVerb(body['url'] ?? ''), '', signal);
        return 200;
      case 'stop-stream':
        this.#stream?.stop();
        return 200;
      case 'transfer':
        this.#context.ring([body['to'] ?? ''], undefined, signal).then(
          () => this.#call.hangUp('carrier'),
          () => {},
        );
        return 200;
      case 'document':
        return this.#call.replaceDocument({ text: '[]' }) ? 200 : 422;
      case 'reject':
        this.#end({ by: 'rest', outcome: 'busy' });
        return 200;
      case 'hangup':
        this.#call.hangUp('rest');
        return 200;
      default:
        return 404;
    }
  }
}

export function streamVerb(url: string): StreamVerb {
  return {
    url,
    name: undefined,
    track: undefined,
    statusCallback: undefined,
    statusCallbackMethod: 'POST',
    parameters: {},
    settings: {},
  };
}

export function connect(url: string, wait = true): Verb {
  return { type: 'connect', action: undefined, method: 'POST', wait, stream: streamVerb(url) };
}

function oddRest(driving: WeakMap<CallHandle, Commands>): RestRules {
  const commandPath = /^\/calls\/([^/]+)\/([a-z-]+)$/;
  const fault = (status: number): RestReply => ({ status, body: { error: status } });
  return {
    callId: ({ path }) => {
      const id = commandPath.exec(path)?.[1];
      return id === undefined ? undefined : decodeURIComponent(id);
    },
    fault,
    async serve(request, call, exchange) {
      if (request.path === '/calls' && request.method === 'POST') {
        const { from, to, ...rest } = JSON.parse(request.body) as Record<string, string>;
        const placed = exchange.dial({
          from: from ?? '',
          to: to ?? '',
          url: rest['url'],
          statusCallbackUrl: rest['status'],
          detection: rest['detection'] === 'sync' ? 'sync' : rest['detection'] === 'async' ? 'async' : 'off',
          untilGreetingEnds: rest['greeting'] === 'yes',
          timeoutMs: 30_000,
          fields: rest,
        });
        return { status: 201, body: { id: placed.identity.callId, at: exchange.baseUrl } };
      }
      if (call === undefined) return fault(404);
      return await serveCall(request, call);
    },
  };

  async function serveCall(request: RestRequest, call: CallHandle): Promise<RestReply> {
    if (request.headers.authorization !== call.identity.authToken) return fault(404);
    const name = commandPath.exec(request.path)?.[2] ?? '';
    if (name === 'recording') {
      const body = Uint8Array.from([...call.sent.subarray(0, 2), ...call.heard.subarray(0, 2)]);
      return { status: 200, body, headers: { 'content-type': 'audio/basic' } };
    }
    if (name === 'cancel') {
      call.hangUp('rest');
      return { status: 204, body: undefined };
    }
    if (call.isOver) return fault(422);
    const body = request.body === '' ? {} : (JSON.parse(request.body) as Record<string, string>);
    return { status: (await driving.get(call)?.command(name, body)) ?? 404, body: {} };
  }
}
