import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { ACCOUNT, CALL, carrier, TOKEN } from './support/twilio.ts';

describe('hanging up', () => {
  type Reply = (request: IncomingMessage, response: ServerResponse) => void;
  interface Seen {
    readonly method: string | undefined;
    readonly url: string | undefined;
    readonly headers: IncomingMessage['headers'];
    readonly body: string;
  }

  const answers =
    (status: number, body: unknown = {}): Reply =>
    (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
  const breaks: Reply = (request) => request.socket.destroy();

  /** Twilio's REST host; answers with the replies in turn, the last one again and again. */
  async function restHost(...replies: Reply[]) {
    const seen: Seen[] = [];
    const server = createServer((incoming, response) => {
      let body = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (piece: string) => {
        body += piece;
      });
      incoming.on('end', () => {
        seen.push({ method: incoming.method, url: incoming.url, headers: incoming.headers, body });
        replies[Math.min(seen.length, replies.length) - 1]?.(incoming, response);
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return { seen, baseUrl: `http://127.0.0.1:${port}`, server };
  }

  async function hangUp(...replies: Reply[]) {
    const host = await restHost(...replies);
    const result = await carrier({ baseUrl: host.baseUrl }).hangUp(CALL, new AbortController().signal);
    return { ...host, result };
  }

  it('asks for what the package of Twilio asks for', async () => {
    const asked: RequestClient.RequestOptions[] = [];
    const httpClient = new RequestClient();
    httpClient.request = (options) => {
      asked.push(options);
      return Promise.reject(new Error('recorded'));
    };
    const theirWay = twilio(ACCOUNT, TOKEN, { httpClient }).calls(CALL).update({ status: 'completed' });
    await expect(theirWay).rejects.toThrow('recorded');
    const [theirs] = asked;

    const { seen, result } = await hangUp(answers(200, { sid: CALL, status: 'completed' }));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: `/2010-04-01/Accounts/${ACCOUNT}/Calls/${CALL}.json`,
      body: 'Status=completed',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`,
      },
    });
    expect(theirs).toMatchObject({
      method: seen[0]?.method?.toLowerCase(),
      uri: `https://api.twilio.com${seen[0]?.url}`,
      data: { Status: 'completed' },
      username: ACCOUNT,
      password: TOKEN,
    });
    expect(theirs?.headers?.['Content-Type']).toBe(seen[0]?.headers['content-type']);
  });

  it('keeps the path of a base URL', async () => {
    const host = await restHost(answers(200));
    const one = carrier({ baseUrl: `${host.baseUrl}/twilio/` });
    await expect(one.hangUp(CALL, new AbortController().signal)).resolves.toEqual({ status: 'ok' });
    expect(host.seen[0]?.url).toBe(`/twilio/2010-04-01/Accounts/${ACCOUNT}/Calls/${CALL}.json`);
  });

  it.each([
    [404, { code: 20404, message: 'not found', status: 404 }],
    [400, { code: 21220, message: 'Call is not in-progress. Cannot redirect.', status: 400 }],
  ])('takes %i %j for a call that is over', async (status, body) => {
    const { result, seen } = await hangUp(answers(status, body));
    expect(result).toEqual({ status: 'already-ended' });
    expect(seen).toHaveLength(1);
  });

  it.each([
    [401, { code: 20003 }, 'CARRIER_REFUSED', 'HTTP 401, error 20003 (are the account SID', 1],
    [403, '', 'CARRIER_REFUSED', 'HTTP 403', 1],
    [404, '<html>nginx</html>', 'CARRIER_REFUSED', 'HTTP 404', 1],
    [400, { code: 20001 }, 'CARRIER_REFUSED', 'HTTP 400, error 20001', 1],
    [302, '', 'CARRIER_REFUSED', 'HTTP 302', 1],
    [429, { code: 20429 }, 'CARRIER_UNAVAILABLE', 'HTTP 429, error 20429', 1],
    [500, { code: '7' }, 'CARRIER_UNAVAILABLE', 'HTTP 500', 2],
    [503, 'null', 'CARRIER_UNAVAILABLE', 'HTTP 503', 2],
  ])('answers %i %j with %s', async (status, body, code, message, requests) => {
    const { result, seen } = await hangUp(answers(status, body));
    expect(result).toMatchObject({
      status: 'error',
      error: { code, message: expect.stringContaining(message) },
    });
    expect(seen).toHaveLength(requests);
  });

  it('does not follow a redirect, which would take the credentials along', async () => {
    const elsewhere = await restHost(answers(200));
    const { result } = await hangUp((_request, response) => {
      response.writeHead(307, { location: elsewhere.baseUrl }).end();
    });
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_REFUSED' } });
    expect(elsewhere.seen).toEqual([]);
  });

  it.each([
    ['the connection broke', breaks],
    ['there was a moment of trouble', answers(502)],
  ])('tries once more when %s', async (_name, trouble) => {
    const { result, seen } = await hangUp(trouble, answers(200));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({ method: 'POST', body: 'Status=completed' });
  });

  it('takes a call that the lost first request ended for ended', async () => {
    const { result } = await hangUp(breaks, answers(404, { code: 20404 }));
    expect(result).toEqual({ status: 'already-ended' });
  });

  it('gives up after the second time', async () => {
    const { result, seen } = await hangUp(breaks);
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_UNAVAILABLE' } });
    expect(seen).toHaveLength(2);
  });

  it('names the trouble and the host when nobody listens', async () => {
    const host = await restHost(answers(200));
    await new Promise((done) => host.server.close(done));
    const result = await carrier({ baseUrl: host.baseUrl }).hangUp(CALL, new AbortController().signal);
    const address = new URL(host.baseUrl).host;
    expect(result).toMatchObject({
      status: 'error',
      error: {
        code: 'CARRIER_UNAVAILABLE',
        message: expect.stringContaining(`call ${CALL}: ECONNREFUSED at ${address}`),
      },
    });
  });

  it.each([
    ['a deadline', new BridgeError('TIMEOUT', 'too long'), 'CARRIER_UNAVAILABLE'],
    ['a deadline of the platform', new DOMException('late', 'TimeoutError'), 'CARRIER_UNAVAILABLE'],
    ['the end of the process', undefined, 'CANCELLED'],
  ])('stops at once for %s and does not try again', async (_name, why, code) => {
    let wasAsked = (): void => {};
    const asked = new Promise<void>((done) => {
      wasAsked = done;
    });
    const host = await restHost(() => wasAsked());
    const abort = new AbortController();
    const pending = carrier({ baseUrl: host.baseUrl }).hangUp(CALL, abort.signal);
    await asked;
    abort.abort(why);
    expect(await pending).toMatchObject({ status: 'error', error: { code } });
    expect(host.seen).toHaveLength(1);
  });

  it('asks nobody when the signal has aborted already', async () => {
    const host = await restHost(answers(200));
    const result = await carrier({ baseUrl: host.baseUrl }).hangUp(CALL, AbortSignal.abort());
    expect(result).toMatchObject({ status: 'error', error: { code: 'CANCELLED' } });
    expect(host.seen).toEqual([]);
  });

  it.each([
    ['no account', { accountSid: undefined }, 'no account SID is configured'],
    ['no token', { authToken: undefined }, 'no auth token is configured'],
    ['an empty token', { authToken: '' }, 'no auth token is configured'],
  ])('refuses without asking when it has %s', async (_name, options, message) => {
    const host = await restHost(answers(200));
    const result = await carrier({ ...options, baseUrl: host.baseUrl }).hangUp(
      CALL,
      new AbortController().signal,
    );
    expect(result).toMatchObject({
      status: 'error',
      error: { code: 'CARRIER_REFUSED', message: expect.stringContaining(message) },
    });
    expect(host.seen).toEqual([]);
  });

  it('keeps a hostile id inside its part of the path, and refuses what is no id', async () => {
    const host = await restHost(answers(200));
    const one = carrier({ baseUrl: host.baseUrl });
    const { signal } = new AbortController();
    await one.hangUp('../../x?y#z', signal);
    expect(host.seen[0]?.url).toBe(`/2010-04-01/Accounts/${ACCOUNT}/Calls/..%2F..%2Fx%3Fy%23z.json`);
    for (const id of ['', 'a b', '\ud800', 'x'.repeat(300)]) {
      expect(await one.hangUp(id, signal)).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    }
    expect(host.seen).toHaveLength(1);
  });

  it('never shows its secrets', async () => {
    const basic = Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64');
    const echo: Reply = (incoming, response) => {
      response.writeHead(500).end(JSON.stringify({ code: 1, message: incoming.headers.authorization }));
    };
    for (const reply of [echo, breaks, answers(401, { message: TOKEN })]) {
      const { result } = await hangUp(reply);
      const text = inspect(result, { depth: 20, showHidden: true });
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain(basic);
    }
  });

  it.each([
    ['nonsense', 'not an http or https URL'],
    ['ftp://api.twilio.com', 'not an http or https URL'],
    ['https://user:SECRET@api.twilio.com', 'holds a user name or password'],
  ])('does not start with the base URL %s', (baseUrl, message) => {
    expect(() => carrier({ baseUrl })).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(message) }),
    );
    expect(() => carrier({ baseUrl })).not.toThrow('SECRET');
  });
});
