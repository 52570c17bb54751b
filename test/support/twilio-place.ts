import twilio from 'twilio';
import type { CallOptions } from '../../src/sim/phone/call-terms.ts';
import type { Callee } from '../../src/sim/phone/callee.ts';
import type { RestFaults } from '../../src/sim/phone/faults.ts';
import { type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import { HandBridge, type SeenRequest, TOKEN, xml } from './hand-bridge.ts';
import { VirtualClock } from './virtual-clock.ts';

/** The simulated Twilio, a bridge by hand, and the published SDK between the two. */

export const ACCOUNT = `AC${'a'.repeat(32)}`;
export const HUMAN = '+14155550123';
export const OURS = '+14155550101';

/** A request as the published SDK hands it to its HTTP client. */
interface SdkRequest {
  readonly method: string;
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly params?: Readonly<Record<string, string>>;
}

/** The published SDK, with the simulated carrier in the place of its host. */
export function sdk(baseUrl: string | undefined, token = TOKEN) {
  const request = async ({ method, uri, username, password, data = {} }: SdkRequest) => {
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(data)) {
      for (const one of [value].flat()) form.append(name, String(one));
    }
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    const response = await fetch(baseUrl + new URL(uri).pathname, {
      method,
      headers: { authorization: `Basic ${basic}` },
      ...(method.toUpperCase() === 'POST' ? { body: form } : {}),
    });
    const text = await response.text();
    return { statusCode: response.status, body: text === '' ? undefined : JSON.parse(text), headers: {} };
  };
  return twilio(ACCOUNT, token, { httpClient: { request } as never });
}

interface Terms {
  readonly callee?: Callee;
  readonly restFaults?: RestFaults;
  readonly defaults?: Partial<CallOptions>;
}

/** `behindTunnel`: the public addresses of `defaults.publicUrl` are found at the bridge. */
export async function atTwilio({ callee, restFaults, defaults }: Terms = {}, behindTunnel = false) {
  const bridge = await new HandBridge().listen();
  const clock = new VirtualClock();
  const exchange = await startExchange({
    clock,
    restFaults,
    defaults: {
      accountSid: ACCOUNT,
      authToken: TOKEN,
      ...(behindTunnel ? { webhookUrl: bridge.url } : {}),
      ...defaults,
    },
    ...(callee === undefined ? {} : { callee: () => callee }),
  });
  const answers: Record<string, string> = {};
  bridge.answer = ({ target }) => {
    const path = target.split('?')[0] ?? '';
    if (answers[path] !== undefined) return xml(answers[path]);
    return path === '/voice' ? undefined : { status: 204, body: '' };
  };
  const client = sdk(exchange.restBaseUrl);
  const place = {
    bridge,
    clock,
    exchange,
    client,
    /** Verbs by path; `/voice` connects a stream unless it says something else. */
    answers,
    at: (path: string): string => bridge.url + path,
    /** What came to a path, whatever its query. */
    asked: (path: string): readonly SeenRequest[] =>
      bridge.requests.filter(({ target }) => target.split('?')[0] === path),
    /** An order by the SDK, and the call that came of it. */
    async order(more: Record<string, unknown> = {}) {
      const dialled = exchange.nextDialled();
      const url = `${bridge.url}/voice`;
      const created = await client.calls.create({ to: HUMAN, from: OURS, url, ...more } as never);
      return { created, call: await dialled };
    },
    /** An inbound call whose stream is up. */
    async inbound(options: Partial<CallOptions> = {}) {
      const connected = bridge.media();
      const call = exchange.placeCall({ webhookUrl: `${bridge.url}/voice`, ...options });
      const media = await connected;
      await call.streaming;
      await media.count('start', 1);
      return { call, media };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await exchange[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
  return place;
}

/** True when the SDK takes the signature of every request that came, for the address that it came to. */
export function allSigned({ requests, url }: HandBridge, host = url): boolean {
  return requests.every(({ headers, target, form }) =>
    twilio.validateRequest(TOKEN, String(headers['x-twilio-signature']), host + target, form),
  );
}

/** Resolves when the callback was answered. */
export function told(call: SimulatedCall, event: string): Promise<unknown> {
  return call.next('callback', (callback) => callback.event === event);
}
