import type { AnswerName, RequestName } from './shapes.ts';

/** One way in which a request may be answered. */
export interface AnswerTerms {
  readonly text: string;
  /** Of a JSON answer. */
  readonly schema?: AnswerName;
  /** Of any other. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One route of the operators' interface: the router is made from it, and so is the OpenAPI description. */
export interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  /** As Express writes it: `/calls/:id`. */
  readonly path: string;
  readonly summary: string;
  readonly text?: string;
  /** Who may ask: everybody, only with the token, or with the token once there is one. */
  readonly access: 'open' | 'token' | 'token-if-set';
  readonly request?: RequestName;
  /** What the query may say. */
  readonly query?: 'ListQuery' | 'EventsQuery';
  /** Request headers that mean something, with their meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, AnswerTerms>>;
}

const problem = (text: string): AnswerTerms => ({ text, schema: 'Problem' });
const refused: AnswerTerms = {
  ...problem('The token is missing or wrong.'),
  headers: { 'WWW-Authenticate': 'Bearer' },
};
const failed = problem('The service itself failed.');

/** What every operation on calls may come to. */
const GUARDED = {
  401: refused,
  404: problem('API_TOKEN is not set, so there is no interface.'),
  500: failed,
} as const;
const OF_A_CALL = {
  ...GUARDED,
  404: problem('There is no such call any more, or API_TOKEN is not set, so there is no interface.'),
} as const;
const WITH_BODY = {
  413: problem('The body has more than 64 kB.'),
  415: problem('The body is no JSON, or is packed in a way that nobody here can unpack.'),
} as const;
const BY_CARRIER = {
  502: problem('The carrier refused, or could not be reached.'),
  503: problem('The service is stopping, or has no room.'),
  504: problem('The carrier did not answer in time.'),
} as const;
const CONTROL = {
  ...OF_A_CALL,
  ...BY_CARRIER,
  400: problem('The request cannot be used; the message names every mistake.'),
  409: {
    text: 'The call is over (`status` is `already-ended`), or is not in a state for this (only `error`).',
    schema: 'Conflict',
  },
} as const satisfies Operation['answers'];
const ORDERED = {
  text: 'The carrier has taken the order; the events say what comes of it.',
  schema: 'Done',
} as const;

/** Every operation on calls. */
export const CALL_OPERATIONS = {
  placeCall: {
    method: 'post',
    path: '/calls',
    summary: 'Place a call',
    text: 'Answered when the carrier has taken the order. It is never given twice by the service itself; where an answer was lost, repeat the request with the same Idempotency-Key.',
    access: 'token',
    request: 'PlaceCall',
    headers: {
      'Idempotency-Key':
        '1 to 200 printable characters of your choice. The same order with the same key within a day is the same call, also while the first one is under way; Idempotent-Replayed: true then marks the answer. An order that certainly reached nobody (400, 503, CARRIER_REFUSED) frees its key.',
    },
    answers: {
      ...GUARDED,
      ...WITH_BODY,
      ...BY_CARRIER,
      201: {
        text: 'The carrier has taken the order.',
        schema: 'Call',
        headers: {
          Location: 'Where to look at the call.',
          'Idempotent-Replayed': 'true: the call was placed by an earlier request with this key.',
        },
      },
      400: problem('The order cannot be used; the message names every mistake.'),
      422: problem('The Idempotency-Key belongs to another order.'),
    },
  },
  listCalls: {
    method: 'get',
    path: '/calls',
    summary: 'List calls, the newest first',
    text: 'All that are being placed or are up, and those that ended within the last ten minutes.',
    access: 'token',
    query: 'ListQuery',
    answers: {
      ...GUARDED,
      200: { text: 'The calls.', schema: 'CallList' },
      400: problem('The query cannot be used.'),
    },
  },
  showCall: {
    method: 'get',
    path: '/calls/:id',
    summary: 'Look at a call',
    access: 'token',
    answers: { ...OF_A_CALL, 200: { text: 'The call as it is now.', schema: 'Call' } },
  },
  followCall: {
    method: 'get',
    path: '/calls/:id/events',
    summary: 'Follow what happens in a call',
    text: 'Server-sent events: `id` is the number of the event, `event` its type, `data` a CallEvent. At the end of the call comes an event `end` with the Call. A connection that ends without it may be opened again with Last-Event-ID. Whoever reads too slowly is cut off.',
    access: 'token',
    query: 'EventsQuery',
    headers: { 'Last-Event-ID': 'Only events with a higher number; goes before `after`.' },
    answers: {
      ...OF_A_CALL,
      200: { text: 'The events so far, then the ones to come.', type: 'text/event-stream' },
      400: problem('What `after` or Last-Event-ID holds is no number.'),
    },
  },
  hangUp: {
    method: 'post',
    path: '/calls/:id/hang-up',
    summary: 'End a call, whether it rings or is up',
    text: 'Where the carrier does not take the hang-up at first it is asked for again, for up to half a minute.',
    access: 'token',
    answers: { ...CONTROL, 202: { text: 'It is ending.', schema: 'Done' } },
  },
  transfer: {
    method: 'post',
    path: '/calls/:id/transfer',
    summary: 'Put the caller through to somebody else',
    access: 'token',
    request: 'TransferCall',
    answers: { ...CONTROL, ...WITH_BODY, 202: ORDERED },
  },
  sendDigits: {
    method: 'post',
    path: '/calls/:id/digits',
    summary: 'Press keys for the other end of the line',
    access: 'token',
    request: 'SendDigits',
    answers: { ...CONTROL, ...WITH_BODY, 202: ORDERED },
  },
  startRecording: {
    method: 'post',
    path: '/calls/:id/recording',
    summary: 'Have the carrier record the call',
    access: 'token',
    answers: { ...CONTROL, 200: { text: 'The carrier records.', schema: 'Done' } },
  },
  stopRecording: {
    method: 'delete',
    path: '/calls/:id/recording',
    summary: 'Stop the recording',
    access: 'token',
    answers: { ...CONTROL, 200: { text: 'The carrier has stopped recording.', schema: 'Done' } },
  },
} as const satisfies Record<string, Operation>;
export type CallOperation = keyof typeof CALL_OPERATIONS;

/** Every operation on the service as a whole. */
export const SERVICE_OPERATIONS = {
  health: {
    method: 'get',
    path: '/healthz',
    summary: 'Does the process live?',
    access: 'open',
    answers: { 200: { text: 'It does.', schema: 'Alive' } },
  },
  readiness: {
    method: 'get',
    path: '/readyz',
    summary: 'Are new calls welcome?',
    text: 'Full is not unready: live calls still need their webhooks, and one caller more gets a busy tone. Nor is a provider whose circuit breaker is open: calls are held with the others, or end with the last resort of their agent.',
    access: 'open',
    answers: {
      200: { text: 'They are, or there is no room at the moment.', schema: 'Readiness' },
      503: { text: 'The service is stopping.', schema: 'Readiness' },
    },
  },
  metrics: {
    method: 'get',
    path: '/metrics',
    summary: 'What the service has counted',
    access: 'token-if-set',
    answers: {
      200: { text: 'Prometheus text.', type: 'text/plain' },
      401: refused,
      500: failed,
    },
  },
  describe: {
    method: 'get',
    path: '/openapi.json',
    summary: 'This description',
    access: 'open',
    answers: { 200: { text: 'OpenAPI 3.1.', schema: 'Description' } },
  },
} as const satisfies Record<string, Operation>;
export type ServiceOperation = keyof typeof SERVICE_OPERATIONS;
