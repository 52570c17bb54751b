import { callIds as plivoIds } from '../../carriers/plivo/call-ids.ts';
import { refOf, callIds as telnyxIds } from '../../carriers/telnyx/call-ids.ts';
import { callIds as twilioIds } from '../../carriers/twilio/call-ids.ts';
import { readAfter } from '../call-urls.ts';
import { CARRIERS, type CarrierName, type WebhookRequest } from '../carrier.ts';

/**
 * By what a request can be told to belong to a call that somebody has. Text, so that names can be keys of maps and travel
 * between processes: `call CARRIER ID`, `after CARRIER TOKEN`, `media CARRIER TOKEN`, `record ID`, `order KEY`.
 */
export type CallName = string;

/** What a request is about, as far as that can be seen before anybody has checked it. */
export interface Subject {
  readonly names: readonly CallName[];
  /** `new`: without a worker that knows it, it is a call that nobody has yet. `order`: a call is to be placed. */
  readonly kind: 'new' | 'known' | 'order' | 'other';
}

const WEBHOOK =
  /\/(voice|events|status|machine|stream-status|after|announce)\/([a-z]+)(?:\/([A-Za-z0-9_.-]{1,512}))?\/?$/;
const MEDIA = /\/media\/([a-z]+)\/([A-Za-z0-9_-]{1,128})\/?$/;
const CALLS = /^\/calls(?:\/([^/]{1,128})(?:\/|$)|\/?$)/i;
const OTHER: Subject = { names: [], kind: 'other' };

const IDS: Readonly<Record<CarrierName, (request: WebhookRequest) => readonly string[]>> = {
  twilio: twilioIds,
  telnyx: telnyxIds,
  plivo: plivoIds,
};

/** The name of a call by its carrier's id. */
export function callName(carrier: CarrierName, callId: string): CallName {
  return `call ${carrier} ${callId}`;
}

/** The name of a call by the bridge's own id, which is also the `ref` of one that it has placed. */
export function recordName(id: string): CallName {
  return `record ${id}`;
}

/** The kind of a name, the carrier if it has one, and the rest. */
export function readName(name: CallName): { kind: string; carrier: CarrierName | undefined; id: string } {
  const [kind = '', second = '', ...rest] = name.split(' ');
  const carrier = CARRIERS.find((candidate) => candidate === second);
  if (carrier === undefined || rest.length === 0)
    return { kind, carrier: undefined, id: name.slice(kind.length + 1) };
  return { kind, carrier, id: rest.join(' ') };
}

/** What a request is about. Never throws, whatever it holds. */
export function subjectOf(request: WebhookRequest): Subject {
  const [path = '', query = ''] = request.target.split('?', 2);
  const webhook = WEBHOOK.exec(path);
  if (webhook !== null) return ofWebhook(request, webhook, query);
  const media = MEDIA.exec(path);
  if (media !== null) return { names: [`media ${media[1]} ${media[2]}`], kind: 'known' };
  const calls = CALLS.exec(path);
  return calls === null ? OTHER : ofOperator(request, calls[1]);
}

function ofWebhook(request: WebhookRequest, [, route, name, token]: RegExpExecArray, query: string): Subject {
  const carrier = CARRIERS.find((candidate) => candidate === name);
  if (carrier === undefined) return OTHER;
  const names = IDS[carrier](request).map((id) => callName(carrier, id));
  const ref = new URLSearchParams(query).get('ref') || (carrier === 'telnyx' ? refOf(request) : undefined);
  if (ref) names.push(recordName(ref));
  if (token !== undefined) names.push(`after ${carrier} ${readAfter(token).token}`);
  const isNew = (route === 'voice' || route === 'events') && !ref;
  return { names: names.filter((one) => one.length <= MAX_NAME), kind: isNew ? 'new' : 'known' };
}

/** Longer than anything that carriers call a call. */
const MAX_NAME = 1024;

function ofOperator({ method, headers }: WebhookRequest, id: string | undefined): Subject {
  if (id !== undefined) return { names: [recordName(id)], kind: 'known' };
  if (method !== 'POST') return OTHER;
  const key = headers['idempotency-key'];
  const names = typeof key === 'string' && key.length <= 200 ? [`order ${key}`] : [];
  return { names, kind: 'order' };
}
