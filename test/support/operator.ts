import webhooks from 'twilio/lib/webhooks/webhooks.js';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { lineCheckAgent } from '../../src/agents.ts';
import type { BridgeOptions } from '../../src/bridge-options.ts';
import { type Env, loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { type Bridge, createBridge } from '../../src/server.ts';
import { ManualProvider } from './manual-provider.ts';
import { type Answering, answers, restHost, type Seen } from './rest-host.ts';

/** The service with its operators' interface, a Twilio whose REST host the test plays, and its webhooks. */

export const API_TOKEN = 'operators-only';
const AUTH_TOKEN = '12345678901234567890123456789012';
const SID = `AC${'0'.repeat(31)}1`;
export const TO = '+14155550123';
export const FROM = '+14155550100';

type Json = Readonly<Record<string, unknown>>;

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

export interface Asking {
  readonly body?: unknown;
  /** In the place of JSON. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface OperatedService {
  readonly bridge: Bridge;
  readonly url: string;
  readonly log: readonly string[];
  /** Requests to Twilio, as `METHOD /path` without the account, with their fields. */
  readonly rest: () => readonly {
    readonly what: string;
    readonly fields: Readonly<Record<string, string>>;
  }[];
  /** Asks with the token; the answer has to be one that the description has. */
  ask(method: string, path: string, asking?: Asking): Promise<ApiAnswer>;
  /** Places a call and gives its id. */
  place(body?: Json): Promise<string>;
  /** A webhook of Twilio at this address. Resolves to the answer's text. */
  signed(address: string, fields: Readonly<Record<string, string>>): Promise<string>;
  /** A webhook of Twilio about the call. Resolves to the answer's text. */
  webhook(
    route: 'voice' | 'status' | 'machine',
    id: string,
    fields?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** Somebody has picked up. */
  answer(id: string): Promise<void>;
}

/** Twilio's REST host: every order is taken, every call gets an id of its own. */
function twilioRest(): Answering {
  let placed = 0;
  return (request, response) => {
    const isOrder = request.url?.endsWith('/Calls.json') === true;
    if (isOrder) placed += 1;
    answers(isOrder ? 201 : 200, { sid: sidOf(placed), status: 'in-progress' })(request, response);
  };
}

export function sidOf(placed: number): string {
  return `CA${String(placed).padStart(32, '0')}`;
}

/** Must be called within a test, which ends it. */
export async function operatedService(
  env: Env = {},
  options: Partial<BridgeOptions> = {},
  ...script: Answering[]
): Promise<OperatedService> {
  const host = await restHost(...(script.length === 0 ? [twilioRest()] : script));
  const log: string[] = [];
  const bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      TWILIO_ACCOUNT_SID: SID,
      TWILIO_AUTH_TOKEN: AUTH_TOKEN,
      TWILIO_BASE_URL: host.baseUrl,
      API_TOKEN,
      ...env,
    }),
    provider: new ManualProvider(),
    agent: lineCheckAgent({
      instructions: undefined,
      greeting: 'Hello.',
      voice: undefined,
      language: undefined,
      audio: 'passthrough',
      maxCallMs: 600_000,
      silenceMs: 0,
    }),
    log: createLog('trace', { write: (line: string) => log.push(line) }),
    ...options,
  });
  onTestFinished(() => bridge.close());
  const url = await bridge.listen();
  const description = z.looseObject({}).parse(await (await fetch(`${url}/openapi.json`)).json());
  const service: OperatedService = {
    bridge,
    url,
    log,
    rest: () => host.seen.map(readRest),
    ask: async (method, path, { body, text, headers } = {}) => {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${API_TOKEN}`,
          ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const answer = z.looseObject({}).parse(await response.json());
      checkDescribed(description, method, path, response.status, answer);
      return { status: response.status, headers: response.headers, body: answer };
    },
    place: async (body = {}) => {
      const order = { to: TO, from: FROM, ...body };
      const { status, body: call } = await service.ask('POST', '/calls', { body: order });
      if (status !== 201) throw new Error(`the call was not placed: ${JSON.stringify(call)}`);
      return String(call['id']);
    },
    signed: async (address, fields) => {
      const form = { AccountSid: SID, From: FROM, To: TO, Direction: 'outbound-api', ...fields };
      const signature = webhooks.getExpectedTwilioSignature(AUTH_TOKEN, address, form);
      const response = await fetch(address, {
        method: 'POST',
        body: new URLSearchParams(form),
        headers: { 'x-twilio-signature': signature },
      });
      if (response.status !== 200) throw new Error(`the webhook was answered ${response.status}`);
      return await response.text();
    },
    webhook: async (route, id, fields = {}) => {
      const { body: call } = await service.ask('GET', `/calls/${id}`);
      const sid = String(call['carrierCallId'] ?? sidOf(1));
      return await service.signed(`${url}/${route}/twilio?ref=${id}`, { CallSid: sid, ...fields });
    },
    answer: async (id) => {
      await service.webhook('voice', id, { CallStatus: 'in-progress' });
    },
  };
  return service;
}

function readRest({ method, url, body }: Seen) {
  const path = url?.replace(`/2010-04-01/Accounts/${SID}`, '') ?? '';
  return { what: `${method} ${path}`, fields: Object.fromEntries(new URLSearchParams(body)) };
}

/** Throws for an answer that the description does not have, or that has another form than it says. */
export function checkDescribed(
  description: Json,
  method: string,
  path: string,
  status: number,
  answer: unknown,
): void {
  // Answered the same for every address, so not described at one.
  if (status === 405) return;
  const paths = description['paths'] as Readonly<Record<string, Json>>;
  const [bare = ''] = path.split('?');
  const template = Object.keys(paths).find((candidate) =>
    new RegExp(`^${candidate.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
  if (template === undefined) {
    if (status === 404 || status === 401) return;
    throw new Error(`${method} ${path} is not described`);
  }
  const schema = dig(
    paths[template],
    method.toLowerCase(),
    'responses',
    String(status),
    'content',
    'application/json',
    'schema',
  );
  if (schema === undefined) throw new Error(`${method} ${path}: ${status} is not described`);
  const result = z
    .fromJSONSchema(inlined(schema, description) as z.core.JSONSchema.JSONSchema)
    .safeParse(answer);
  if (result.success) return;
  throw new Error(
    `${method} ${path}: ${status} is not as described: ${z.prettifyError(result.error)}\n${JSON.stringify(answer)}`,
  );
}

function dig(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (found, key) => (typeof found === 'object' && found !== null ? Reflect.get(found, key) : undefined),
    value,
  );
}

/** The schema with what it refers to in place, and without room for fields that are not described. */
function inlined(schema: unknown, description: Json): unknown {
  if (Array.isArray(schema)) return schema.map((part) => inlined(part, description));
  if (typeof schema !== 'object' || schema === null) return schema;
  const reference = dig(schema, '$ref');
  if (typeof reference === 'string') {
    return inlined(dig(description, ...reference.slice(2).split('/')), description);
  }
  const { examples: _, ...rest } = schema as Json;
  const parts = Object.fromEntries(
    Object.entries(rest).map(([key, part]) => [key, inlined(part, description)]),
  );
  const open = rest['properties'] === undefined || rest['additionalProperties'] !== undefined;
  return open ? parts : { ...parts, additionalProperties: false };
}
