import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createDial, dial } from '../src/commands/dial.ts';
import { EventReader } from '../src/commands/event-reader.ts';
import type { Env } from '../src/config.ts';
import { API_TOKEN, FROM, type OperatedService, operatedService, TO } from './support/operator.ts';
import { answers, breaks, restHost } from './support/rest-host.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The command at work: what it writes, and the means to interrupt it. */
function start(argv: readonly string[], env: Env = { API_TOKEN }, command = dial) {
  let listener: (() => void) | undefined;
  const written = { out: '', err: '' };
  const exit = command.run(argv, {
    env,
    isTty: false,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    onStray: () => undefined,
    onInterrupt: (given) => {
      listener = given;
      return () => {
        listener = undefined;
      };
    },
  });
  return { written, exit, interrupt: () => listener?.(), interruptible: () => listener !== undefined };
}

function dialling(url: string, ...more: readonly string[]): readonly string[] {
  return [TO, '--from', FROM, '--url', url, ...more];
}

/** The id of the call that was placed, once it was. */
async function placed(on: OperatedService): Promise<string> {
  const list = async () =>
    (await on.ask('GET', '/calls')).body['calls'] as { id: string; carrierCallId?: string }[];
  await expect.poll(async () => (await list())[0]?.carrierCallId).toBeDefined();
  return (await list())[0]?.id ?? '';
}

describe('patchcord dial', () => {
  it('places a call and says which one it is', async () => {
    const on = await operatedService();
    const { exit, written } = start(dialling(on.url));
    expect(await exit).toBe(0);
    const id = await placed(on);
    expect(written.out).toBe(`placed ${id} at twilio as CA00000000000000000000000000000001\n`);
    expect(on.rest()[0]?.fields).toMatchObject({ To: TO, From: FROM, Timeout: '40' });
  });

  it('says what is wrong with the name of a variable', async () => {
    const on = await operatedService();
    const { exit, written } = start(dialling(on.url, '--var', 'bad name=2'));
    expect(await exit).toBe(2);
    expect(written.err).toContain('variables.bad name: found the name "bad name", wanted a name of letters');
  });

  it('hands on what the order says', async () => {
    const on = await operatedService();
    const order = [
      '--carrier',
      'twilio',
      '--ring',
      '20',
      '--machine',
      'leave-message',
      '--message',
      'Call back.',
    ];
    expect(await start(dialling(`${on.url}/`, ...order, '--token', API_TOKEN), {}).exit).toBe(0);
    expect(on.rest()[0]?.fields).toMatchObject({ Timeout: '20', MachineDetection: 'DetectMessageEnd' });
  });

  it('shows what happens until the call is completed', async () => {
    const on = await operatedService();
    const { exit, written } = start(dialling(on.url, '--follow'));
    const id = await placed(on);
    await on.webhook('status', id, { CallStatus: 'ringing' });
    await on.answer(id);
    await expect.poll(() => written.out).toContain('picks up');
    await on.ask('POST', `/calls/${id}/hang-up`);
    expect(await exit).toBe(0);
    expect(written.out).toMatch(
      /^placed call_.*\n +\d+\.\d s {2}call {4}ringing\n.*callee {2}picks up\n.*is done: operator-hung-up\n.*over: completed \(operator-hung-up\), 0 s of talk\n$/s,
    );
    expect(written.err).toBe('');
  });

  it.each([
    ['busy', 'over: busy'],
    ['no-answer', 'over: no-answer'],
    ['failed', 'over: failed'],
  ])('says that nobody was reached: %s', async (status, text) => {
    const on = await operatedService();
    const { exit, written } = start(dialling(on.url, '--follow'));
    await on.webhook('status', await placed(on), { CallStatus: status });
    expect(await exit).toBe(1);
    expect(written.out).toContain(text);
  });

  it('hangs up when it is interrupted, and shows the end', async () => {
    const on = await operatedService();
    const { exit, written, interrupt, interruptible } = start(dialling(on.url, '--follow'));
    await placed(on);
    await expect.poll(interruptible).toBe(true);
    interrupt();
    expect(await exit).toBe(1);
    expect(written.err).toBe('hanging up\n');
    expect(written.out).toContain('over: canceled');
    expect(interruptible()).toBe(false);
  });

  it.each([
    [[], /dial: found 0 numbers, wanted one/],
    [[TO, FROM, '--from', FROM], /dial: found 2 numbers, wanted one/],
    [[TO], /--from: found nothing/],
    [
      [TO, '--from', FROM, '--carrier', 'acme'],
      /--carrier: found "acme", wanted one of twilio, telnyx, plivo/,
    ],
    [[TO, '--from', FROM, '--ring', '3'], /--ring: found "3", wanted a whole number from 5 to 600/],
    [
      [TO, '--from', FROM, '--machine', 'shout'],
      /--machine: found "shout", wanted report, hang-up or leave-message/,
    ],
    [[TO, '--from', FROM, '--machine', 'leave-message'], /wanted --message with it/],
    [[TO, '--from', FROM, '--message', 'x'], /--message: wanted only together with/],
    [
      [TO, '--from', FROM, '--url', 'localhost:80'],
      /--url: found "localhost:80", wanted an http:\/\/ address/,
    ],
    [[TO, '--from', FROM, '--loud'], /--loud/],
  ])('refuses %j and says why', async (argv, message) => {
    await expect(start(argv).exit).rejects.toThrow(message);
    await expect(start(argv).exit).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it.each([
    ['', /the token: found none, wanted API_TOKEN in the environment, or --token/],
    ['tökén', /the token: found 5 characters that HTTP cannot carry/],
  ])('refuses the token %j', async (token, message) => {
    await expect(start(dialling('http://127.0.0.1:1'), { API_TOKEN: token }).exit).rejects.toThrow(message);
  });

  it('says what the service finds wrong with the order, as a mistake of the one who typed it', async () => {
    const on = await operatedService();
    const { exit, written } = start(['12', '--from', FROM, '--url', on.url]);
    expect(await exit).toBe(2);
    expect(written.err).toBe(
      'patchcord dial: to: found text of 2 characters, wanted + and 3 to 15 digits, or sip:…\n',
    );
  });
});

describe('a service that cannot be used', () => {
  it('refuses the token', async () => {
    const on = await operatedService();
    const { exit, written } = start(dialling(on.url), { API_TOKEN: 'guess' });
    expect(await exit).toBe(1);
    expect(written.err).toContain('the service refuses the token: it has to be the API_TOKEN of the service');
    expect(written.err).not.toContain('guess');
  });

  it('has no token', async () => {
    const on = await operatedService({ API_TOKEN: '' });
    const { exit, written } = start(dialling(on.url));
    expect(await exit).toBe(1);
    expect(written.err).toContain('it was started without API_TOKEN');
  });

  it('does not listen', async () => {
    const on = await operatedService();
    await on.bridge.close();
    const { exit, written } = start(dialling(on.url));
    expect(await exit).toBe(1);
    expect(written.err).toContain(
      `the service at ${on.url} cannot be reached (ECONNREFUSED): does it run, and is --url right?`,
    );
  });

  it.each([
    [answers(200, '<html>'), 'it says HTTP 200'],
    [answers(404, { message: 'nothing' }), 'it says HTTP 404'],
  ])('is no Patchcord', async (answering, text) => {
    const host = await restHost(answering);
    const { exit, written } = start(dialling(host.baseUrl));
    expect(await exit).toBe(1);
    expect(written.err).toContain('is no Patchcord service');
    expect(written.err).toContain(text);
  });

  it('has a carrier that refuses', async () => {
    const on = await operatedService({}, {}, answers(400, { code: 21211 }));
    const { exit, written } = start(dialling(on.url));
    expect(await exit).toBe(1);
    expect(written.err).toContain('CARRIER_REFUSED: Twilio refused to place a call');
  });

  it('does not answer in time, twice', async () => {
    const clock = new VirtualClock();
    const host = await restHost(() => undefined);
    const { exit, written } = start(dialling(host.baseUrl), { API_TOKEN }, createDial(clock));
    for (const count of [1, 2]) {
      await expect.poll(() => host.seen.length).toBe(count);
      clock.advance(15_001);
    }
    expect(await exit).toBe(1);
    expect(written.err).toContain('cannot be reached (no answer in time)');
    expect(clock.pending).toBe(0);
  });
});

const CALL = {
  id: 'call_1',
  carrier: 'twilio',
  direction: 'outbound',
  from: FROM,
  to: TO,
  agent: 'agent',
  status: 'queued',
  createdAt: '2026-11-21T09:00:00.000Z',
};

function sse(type: string, data: unknown, number?: number): string {
  return `${number === undefined ? '' : `id: ${number}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function event(number: number, type: string, data: Readonly<Record<string, unknown>>): string {
  return sse(type, { number, type, at: '2026-11-21T09:00:01.500Z', data }, number);
}

const OVER = sse('end', { ...CALL, status: 'ended', outcome: 'completed' });

describe('a connection that is not as it should be', () => {
  it('is tried once more with the same key when the answer to the order was lost', async () => {
    const host = await restHost(breaks, answers(201, CALL));
    const { exit } = start(dialling(host.baseUrl));
    expect(await exit).toBe(0);
    const keys = host.seen.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  it('is opened again where it broke', async () => {
    const clock = new VirtualClock();
    const host = await restHost(
      answers(201, CALL),
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(event(1, 'progress', { status: 'ringing' }), () => response.destroy());
      },
      (_request, response) => response.end(`: alive\n\n${event(2, 'answered', {})}${OVER}`),
    );
    const { exit, written } = start(dialling(host.baseUrl, '--follow'), { API_TOKEN }, createDial(clock));
    await expect.poll(() => clock.pending).toBe(1);
    await expect.poll(() => written.out).toContain('ringing');
    await expect
      .poll(() => {
        clock.advance(100);
        return host.seen.length;
      })
      .toBe(3);
    expect(await exit).toBe(0);
    expect(host.seen.slice(1).map(({ headers }) => headers['last-event-id'])).toEqual(['0', '1']);
    expect(written.out.match(/ringing/g)).toHaveLength(1);
  });

  it('is given up after five times, and the call is said to go on', async () => {
    const clock = new VirtualClock();
    const host = await restHost(answers(201, CALL), breaks);
    const { exit, written } = start(dialling(host.baseUrl, '--follow'), { API_TOKEN }, createDial(clock));
    await expect
      .poll(
        () => {
          clock.advance(100);
          return host.seen.length;
        },
        { timeout: 10_000 },
      )
      .toBe(6);
    expect(await exit).toBe(1);
    expect(written.err).toContain('; the call call_1 may go on');
    expect(clock.pending).toBe(0);
  });

  it('is given up at once when the service does not know the call any more', async () => {
    const unknown = { error: { code: 'NOT_FOUND', message: 'there is no such call', retry: false } };
    const host = await restHost(answers(201, CALL), answers(404, unknown));
    const { exit, written } = start(dialling(host.baseUrl, '--follow'));
    expect(await exit).toBe(1);
    expect(written.err).toContain('NOT_FOUND: there is no such call; the call call_1 may go on');
    expect(host.seen).toHaveLength(2);
  });

  it('is opened again when nothing was heard for three heartbeats', async () => {
    const clock = new VirtualClock();
    const host = await restHost(
      answers(201, CALL),
      (_request, response) => response.writeHead(200).flushHeaders(),
      (_request, response) => response.end(OVER),
    );
    const { exit } = start(dialling(host.baseUrl, '--follow'), { API_TOKEN }, createDial(clock));
    await expect.poll(() => host.seen.length).toBe(2);
    clock.advance(45_000);
    await expect
      .poll(() => {
        clock.advance(100);
        return host.seen.length;
      })
      .toBe(3);
    expect(await exit).toBe(0);
  });

  it('may bring events in any pieces, and what was said cannot move the cursor', async () => {
    const text = [
      event(1, 'machine', { result: 'human' }),
      event(2, 'transcript', { role: 'user', text: 'hello\u001b[2J there', final: true }),
      event(3, 'transcript', { role: 'assistant', text: 'ha', final: false }),
      event(4, 'tool', { name: 'look_up', isError: true }),
      event(5, 'transfer', { status: 'failed', outcome: 'busy' }),
      event(6, 'digit', {}),
      event(7, 'somethingNew', { x: 1 }),
      'event: nonsense\ndata: {"a":\n\n',
      OVER,
    ].join('');
    const pieces = async (_request: IncomingMessage, response: ServerResponse) => {
      for (let at = 0; at < text.length; at += 7) {
        response.write(text.slice(at, at + 7));
        await new Promise(setImmediate);
      }
      response.end();
    };
    const server = createServer((request, response) => {
      if (request.method === 'POST') answers(201, CALL)(request, response);
      else pieces(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const { exit, written } = start(dialling(`http://127.0.0.1:${port}`, '--follow'));
    expect(await exit).toBe(0);
    expect(written.out.split('\n').slice(1, -2)).toEqual([
      '   1.5 s  carrier thinks that this is: human',
      '   1.5 s  callee  hello [2J there',
      '   1.5 s  agent   ran look_up, which failed',
      '   1.5 s  agent   transfer failed busy',
      '   1.5 s  callee  presses a key',
    ]);
  });
});

describe('server-sent events', () => {
  it('are read as the standard has them', () => {
    const reader = new EventReader();
    const text =
      ': hello\r\nid: 1\r\nevent:a\r\ndata: one\r\ndata:  two\r\n\r\ndata\n\nevent: empty\n\nid\ndata: x:y\n\n';
    const found = [...text].flatMap((character) => reader.push(character));
    expect(found).toEqual([
      { id: '1', type: 'a', data: 'one\n two' },
      { id: undefined, type: '', data: '' },
      { id: '', type: '', data: 'x:y' },
    ]);
  });
});
