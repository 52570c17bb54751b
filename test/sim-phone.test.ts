import { createServer } from 'node:http';
import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { twilioSignature } from '../src/sim/phone/twilio/signature.ts';
import { parseTwiml } from '../src/sim/phone/twilio/twiml.ts';
import { type SimulatedCall, startExchange } from '../src/sim/phone.ts';
import {
  atTheBridge,
  HandBridge,
  type Message,
  onTheLine,
  TOKEN,
  until,
  updateCall,
  xml,
} from './support/hand-bridge.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe('signatures', () => {
  const P = {
    CallSid: 'CA00000000000000000000000000000001',
    AccountSid: 'AC00000000000000000000000000000001',
    From: '+14155550100',
    To: '+14155550101',
    CallStatus: 'ringing',
    ApiVersion: '2010-04-01',
    Direction: 'inbound',
  };
  const host = 'https://bridge.example.com';
  const socket = 'wss://bridge.example.com/twilio/media';
  const hash = 'a10017d55a5cb777dedfab10d55e4768f7ff7bb1f37c5c758d56e3022be406ae';

  it('has the vector of Twilio’s own documentation', () => {
    const fields = {
      CallSid: 'CA1234567890ABCDE',
      Caller: '+12349013030',
      Digits: '1234',
      From: '+12349013030',
      To: '+18005551212',
    };
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
    expect(twilioSignature('12345', url, fields)).toBe('0/KCTR6DLpKmkAf8muzZqo1nDgQ=');
  });

  it.each([
    ['T1', `${host}/twilio/voice`, P, '60BfreWdPSv+W5cq5kBYJt7+rEI='],
    ['T2', `${host}/twilio/voice?tenant=acme&x=a%20b`, P, 'PAff/6wJhAMwNiMgA7I5vnas018='],
    ['T3', `${host}/twilio/voice?CallSid=CA1&From=%2B14155550100`, {}, 'Bv/ZWBXZsGTdo18e79jFZgUSzgs='],
    ['T4', socket, {}, 'nYJMd3PyIlBkI+1rQ8x7zjbNQ4A='],
    ['T4b', `${socket}/tok_abc123`, {}, 'sMnYkuzhSJOFpasyct4l0T+34i0='],
    ['T4c', `${socket}/`, {}, 'kPnmfoMoiBa8azxWx06TXVbKqmk='],
    [
      'T5',
      `${host}/twilio/voice`,
      { CallerName: 'José  O’Neil', Digits: '', Body: 'a b+c' },
      'Q0i9or7PiOZkcURSTiNHki+5ocA=',
    ],
    ['T6', `${host}/twilio/status`, { A: ['2', '1', '2'], B: 'x' }, 'nQABkRjkmBlOi1RjSU3hM4eXR68='],
    ['T7', `${host}/twilio/json?bodySHA256=${hash}`, {}, 'tp1O8pewveF8Z9u3ho2VWsDAfOc='],
    ['a standard port', 'https://bridge.example.com:443/twilio/voice', P, 'y3qJaPjueb0BZGYNh2zsf73ArN4='],
    ['another port', 'https://bridge.example.com:8443/twilio/voice', P, '08WfbSBxUiJYEAUV3gzHfq+GfzU='],
  ])('has the vector %s', (_name, url, fields, signature) => {
    expect(twilioSignature(TOKEN, url, fields)).toBe(signature);
    // A fragment holds settings for Twilio and is not signed.
    expect(twilioSignature(TOKEN, `${url}#rc=3`, fields)).toBe(signature);
  });
});

describe('answer documents', () => {
  it('are read with entities, CDATA, comments and parameters', () => {
    const { verbs, warnings } = parseTwiml(
      `<?xml version="1.0"?><!-- hello --><Response><Say language="de-DE">A &amp; B <![CDATA[<C>]]></Say><Connect action="/after?a=1&amp;b=2" method="GET"><Stream url="wss://b.example/m" name="n" statusCallback="/s"><Parameter name="x" value="&lt;1&gt;"/></Stream></Connect><Pause length="3"/><Dial callerId="+1" timeout="9" answerOnBridge="true"><Number url="/whisper">+2</Number><Sip>sip:a@b</Sip></Dial><Dial>+3</Dial><Redirect method="get"> /r </Redirect><Play digits="w1"/><Hangup/><Reject reason="busy"/></Response>`,
    );
    expect(warnings).toEqual([]);
    expect(verbs).toEqual([
      { type: 'say', text: 'A & B <C>', language: 'de-DE', voice: undefined },
      {
        type: 'connect',
        action: '/after?a=1&b=2',
        method: 'GET',
        wait: true,
        stream: {
          url: 'wss://b.example/m',
          name: 'n',
          track: undefined,
          statusCallback: '/s',
          statusCallbackMethod: 'POST',
          parameters: { x: '<1>' },
          settings: { '<Connect action>': '/after?a=1&b=2', '<Connect method>': 'GET' },
        },
      },
      { type: 'pause', lengthS: 3 },
      {
        type: 'dial',
        action: undefined,
        method: 'POST',
        callerId: '+1',
        targets: ['+2', 'sip:a@b'],
        legs: [
          { kind: 'Number', target: '+2', settings: { url: '/whisper' } },
          { kind: 'Sip', target: 'sip:a@b', settings: {} },
        ],
        settings: { timeout: '9', answerOnBridge: 'true' },
        answersLate: true,
      },
      {
        type: 'dial',
        action: undefined,
        method: 'POST',
        callerId: undefined,
        targets: ['+3'],
        legs: [{ kind: 'Number', target: '+3', settings: {} }],
        settings: {},
        answersLate: false,
      },
      { type: 'redirect', url: '/r', method: 'GET' },
      { type: 'play', url: '', digits: 'w1' },
      { type: 'hangup' },
      { type: 'reject', reason: 'busy' },
    ]);
  });

  it('that the published SDK writes are read without a warning', () => {
    const response = new twilio.twiml.VoiceResponse();
    const connect = response.connect({ action: 'https://b.example/after', method: 'POST' });
    const stream = connect.stream({
      url: 'wss://b.example/m/tok',
      name: 'agent',
      statusCallback: 'https://b.example/s',
    });
    stream.parameter({ name: 'ref', value: 'ä "quoted" & <b>' });
    response.say({ language: 'en-GB' }, 'Sorry <you>');
    response.hangup();
    const { verbs, warnings } = parseTwiml(response.toString());
    expect(warnings).toEqual([]);
    expect(verbs.map((verb) => verb.type)).toEqual(['connect', 'say', 'hangup']);
    expect(verbs[0]).toMatchObject({ stream: { parameters: { ref: 'ä "quoted" & <b>' } } });
  });

  it.each([
    ['a blank before the XML declaration', ' <?xml version="1.0"?><Response/>', /12100/],
    ['an open element', '<Response><Say>hi</Response>', /12100/],
    ['no Response', '<Answer/>', /12100.*<Answer>/],
    ['nothing at all', '', /12100/],
    ['two documents', '<Response/><Response/>', /12100/],
    ['a bare ampersand', '<Response><Say>A & B</Say></Response>', /12100/],
    ['a Connect without Stream', '<Response><Connect/></Response>', /12200.*<Stream>/],
    ['a Stream without url', '<Response><Connect><Stream/></Connect></Response>', /12200.*url/],
  ])('are refused with %s', (_name, text, message) => {
    expect(() => parseTwiml(text)).toThrow(message);
  });

  it('warn of what is not known, misspelt or too long, and go on', () => {
    const { verbs, warnings } = parseTwiml(
      `<Response><say>a</say><Say speed="2">b</Say><Connect><Stream url="wss://b" track="inbound_track"><Parameter name="a" value="${'x'.repeat(499)}"/><Parameter name="b"/></Stream></Connect></Response>`,
    );
    expect(verbs.map((verb) => verb.type)).toEqual(['say', 'connect']);
    expect(verbs[1]).toMatchObject({ stream: { parameters: {} } });
    expect(warnings).toHaveLength(4);
  });
});

describe('webhooks of the simulated phone', () => {
  it('are signed over the public address and carry fields that nobody knows', async () => {
    await using place = await atTheBridge(() => xml('<Reject/>'));
    const call = place.place({ publicUrl: 'https://bridge.example.com', from: '+14155559999' });
    const report = await call.ended;
    expect(report).toMatchObject({ outcome: 'rejected', endedBy: 'document', durationMs: 0 });
    const [request] = place.bridge.requests;
    expect(request).toMatchObject({
      method: 'POST',
      target: '/voice/twilio',
      headers: { host: 'bridge.example.com' },
      form: { CallSid: call.callId, From: '+14155559999', Caller: '+14155559999', CallStatus: 'ringing' },
    });
    expect(request?.headers['content-type']).toBe('application/x-www-form-urlencoded; charset=UTF-8');
    expect(request?.form).toMatchObject({ ApiVersion: '2010-04-01', Direction: 'inbound', ToCity: '' });
    expect(request?.form['FieldOfTomorrow']).toContain('ü + a&b');
    const signature = String(request?.headers['x-twilio-signature']);
    const url = 'https://bridge.example.com/voice/twilio';
    expect(twilio.validateRequest(TOKEN, signature, url, request?.form ?? {})).toBe(true);
    expect(
      twilio.validateRequest(TOKEN, signature, `${place.bridge.url}/voice/twilio`, request?.form ?? {}),
    ).toBe(false);
  });

  it.each(['bad', 'missing'] as const)('can have a %s signature', async (fault) => {
    await using place = await atTheBridge(() => ({ status: 403, body: '' }));
    const call = place.place({ faults: { webhookSignature: fault } });
    const report = await call.ended;
    const [request] = place.bridge.requests;
    const signature = request?.headers['x-twilio-signature'];
    if (fault === 'missing') expect(signature).toBeUndefined();
    const url = `${place.bridge.url}/voice/twilio`;
    expect(twilio.validateRequest(TOKEN, String(signature), url, request?.form ?? {})).toBe(false);
    expect(report).toMatchObject({ outcome: 'failed', endedBy: 'carrier' });
    expect(report.failure).toContain('11200');
    await expect(call.answered).rejects.toThrow('CANCELLED');
    await expect(call.streaming).rejects.toThrow('CANCELLED');
  });

  it('come twice with the same token when the first answer was lost', async () => {
    await using place = await atTheBridge(() => xml('<Hangup/>'));
    for (const duplicateWebhook of ['retry', 'concurrent'] as const) {
      place.bridge.requests.length = 0;
      expect(await place.place({ faults: { duplicateWebhook } }).ended).toMatchObject({
        outcome: 'completed',
      });
      const tokens = place.bridge.requests.map((request) => request.headers['i-twilio-idempotency-token']);
      expect(tokens).toHaveLength(2);
      expect(tokens[0]).toMatch(/^[0-9a-f-]{36}$/);
      expect(tokens[1]).toBe(tokens[0]);
    }
  });

  it('are tried again when nobody listens, as often as the fragment says, and then go to the fallback', async () => {
    await using place = await atTheBridge(() => xml('<Say>sorry</Say>'));
    const gone = await new HandBridge().listen();
    const url = `${gone.url}/voice`;
    await gone[Symbol.asyncDispose]();
    const lost = await place.exchange.placeCall({ webhookUrl: `${url}#rc=2` }).ended;
    expect(lost.failure).toMatch(/11205.*attempt 3/);
    const once = await place.exchange.placeCall({ webhookUrl: `${url}#rc=0` }).ended;
    expect(once.failure).toMatch(/11205.*attempt 1/);
    const saved = place.exchange.placeCall({ webhookUrl: url, fallbackUrl: `${place.bridge.url}/fallback` });
    expect(await saved.ended).toMatchObject({ outcome: 'completed', failure: undefined });
    expect(saved.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    expect(place.bridge.requestsTo('/fallback')).toMatchObject([
      { form: { ErrorCode: '11200', ErrorUrl: url } },
    ]);
  });

  it('give up a bridge that does not answer within 15 s', async () => {
    await using place = await atTheBridge();
    let asked = (): void => {};
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const silent = createServer(() => asked());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const call = place.exchange.placeCall({ webhookUrl: `http://127.0.0.1:${port}/` });
    await reached;
    place.clock.advance(14_999);
    expect(call.isOver).toBe(false);
    place.clock.advance(1);
    expect((await call.ended).failure).toContain('TIMEOUT');
    await new Promise((resolve) => {
      silent.close(resolve);
      silent.closeAllConnections();
    });
  });

  it.each([
    ['text/plain', '12300'],
    ['application/json', '12300'],
    ['text/xml', '12100'],
  ])('need an XML document: %s with no XML fails with %s', async (type, code) => {
    await using place = await atTheBridge(() => ({ type, body: 'hello' }));
    const report = await place.place().ended;
    expect(report.outcome).toBe('failed');
    expect(report.failure).toContain(code);
    expect([...report.warnings.keys()][0]).toContain(code);
  });

  it('tell the status callback how the call goes on, in order and with numbers', async () => {
    await using place = await atTheBridge((request) =>
      request.target === '/status' ? { status: 204, body: '' } : xml('<Pause length="65"/>'),
    );
    const call = place.place({ statusCallbackUrl: `${place.bridge.url}/status` });
    await call.next('pause');
    await call.next('callback', ({ event }) => event === 'in-progress');
    place.clock.advance(65_000);
    await call.ended;
    const seen = place.bridge.requestsTo('/status').map(({ form }) => form);
    expect(seen.map((form) => [form['CallStatus'], form['SequenceNumber'], form['CallDuration']])).toEqual([
      ['initiated', '0', undefined],
      ['ringing', '1', undefined],
      ['in-progress', '2', undefined],
      ['completed', '3', '65'],
    ]);
    expect(seen[3]).toMatchObject({
      CallbackSource: 'call-progress-events',
      Duration: '2',
      Timestamp: 'Fri, 02 Jan 2026 03:05:10 +0000',
    });
    expect(call.eventsOf('callback').map((event) => event.status)).toEqual([204, 204, 204, 204]);
  });

  it('can tell it in reverse', async () => {
    await using place = await atTheBridge(() => xml('<Hangup/>'));
    const call = place.place({
      statusCallbackUrl: `${place.bridge.url}/status`,
      faults: { reverseProgress: true },
    });
    await call.ended;
    const numbers = place.bridge.requestsTo('/status').map(({ form }) => form['SequenceNumber']);
    expect(numbers).toEqual(['3', '2', '1', '0']);
  });

  it('run verbs in order, follow redirects and actions, and hang up at the end', async () => {
    await using place = await atTheBridge(({ target, method, form }) => {
      if (target === '/voice/twilio')
        return xml('<Say language="fr-FR">un</Say><Redirect>/next?x=1</Redirect>');
      if (target === '/next?x=1')
        return xml('<Dial action="after" method="GET" callerId="+14155550111">+14155550122</Dial>');
      return xml(
        `<Say>${method} ${target.split('?')[0]} ${form['DialCallStatus']}</Say><Play>http://x/y.mp3</Play>`,
      );
    });
    const call = place.place({ dialResult: { status: 'busy', durationMs: 0 } });
    await call.ended;
    const facts = call.events.filter(
      (event) => !['webhook', 'answered', 'leg', 'ended'].includes(event.type),
    );
    expect(facts).toMatchObject([
      { type: 'say', text: 'un', language: 'fr-FR' },
      { type: 'redirect', url: '/next?x=1' },
      { type: 'dial', targets: ['+14155550122'], callerId: '+14155550111' },
      { type: 'say', text: 'GET /after undefined' },
      { type: 'play', url: 'http://x/y.mp3' },
    ]);
    const get = place.bridge.requests[2];
    expect(get?.target).toContain('DialCallStatus=busy');
    const signature = String(get?.headers['x-twilio-signature']);
    expect(twilio.validateRequest(TOKEN, signature, place.bridge.url + get?.target, {})).toBe(true);
  });
});

describe('REST during a call', () => {
  it('ends the call with stop, and later requests learn that it is over', async () => {
    await using line = await onTheLine();
    const done = await updateCall(line.exchange, line.call, { Status: 'completed' });
    expect(done).toMatchObject({ status: 200, body: { sid: line.call.callId } });
    expect(await line.call.ended).toMatchObject({ endedBy: 'rest', outcome: 'completed' });
    expect(line.media.messages.at(-1)?.['event']).toBe('stop');
    const late = await updateCall(line.exchange, line.call, { Status: 'completed' });
    expect(late).toMatchObject({ status: 400, body: { code: 21220 } });
    expect(line.call.eventsOf('rest').map((event) => event.status)).toEqual([200, 400]);
  });

  it('replaces the running document by text or by address', async () => {
    await using line = await onTheLine();
    line.bridge.answer = ({ target, method }) => xml(`<Say>${method} ${target.split('?')[0]}</Say>`);
    await updateCall(line.exchange, line.call, {
      Twiml: '<Response><Say>hold</Say><Pause length="60"/></Response>',
    });
    await line.call.next('pause');
    expect(await line.media.closed).toBe(1000);
    expect(line.media.messages.at(-1)?.['event']).toBe('stop');
    const url = `${line.bridge.url}/human`;
    await updateCall(line.exchange, line.call, { Url: url, Method: 'GET' });
    const report = await line.call.ended;
    expect(line.call.eventsOf('say').map((say) => say.text)).toEqual(['hold', 'GET /human']);
    expect(report).toMatchObject({ endedBy: 'document', streams: [{ how: 'carrier-stopped' }] });
  });

  it('wants the right credentials, a known call and something to do', async () => {
    await using line = await onTheLine();
    const refused = await updateCall(line.exchange, line.call, { Status: 'completed' }, 'wrong');
    expect(refused).toMatchObject({ status: 401, body: { code: 20003 } });
    expect(await updateCall(line.exchange, line.call, {})).toMatchObject({
      status: 400,
      body: { code: 20001 },
    });
    const long = { Twiml: `<Response><Say>${'x'.repeat(4000)}</Say></Response>` };
    expect(await updateCall(line.exchange, line.call, long)).toMatchObject({ status: 400 });
    const { accountId } = line.call.identity;
    const path = `/2010-04-01/Accounts/${accountId}/Calls/CA${'0'.repeat(32)}.json`;
    const ask = (headers: Record<string, string>) =>
      fetch(`${line.exchange.restBaseUrl}${path}`, { method: 'POST', headers });
    expect((await ask({})).status).toBe(401);
    const authorization = `Basic ${Buffer.from(`${accountId}:${TOKEN}`).toString('base64')}`;
    const unknown = await ask({ authorization });
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ code: 20404, status: 404 });
    expect(line.call.isOver).toBe(false);
  });

  it('can say 429 once, and can be slow', async () => {
    await using line = await onTheLine({ faults: { rest: { status: 429, times: 1, delayMs: 5000 } } });
    const first = updateCall(line.exchange, line.call, { Status: 'completed' });
    let answered = false;
    first.then(
      () => {
        answered = true;
      },
      () => {},
    );
    await until(() => line.clock.pending > 1);
    expect(answered).toBe(false);
    line.clock.advance(5000);
    expect(await first).toMatchObject({ status: 429, body: { code: 20429 } });
    expect(line.call.isOver).toBe(false);
    const second = updateCall(line.exchange, line.call, { Status: 'completed' });
    await until(() => line.clock.pending > 1);
    line.clock.advance(5000);
    expect((await second).status).toBe(200);
    await line.call.ended;
  });

  it('works with the published SDK', async () => {
    await using line = await onTheLine({ accountSid: `AC${'a'.repeat(32)}` });
    const client = twilio(line.call.identity.accountId, TOKEN, {
      httpClient: {
        async request(options: {
          uri: string;
          headers?: unknown;
          username?: string;
          password?: string;
          data?: unknown;
        }) {
          const { pathname } = new URL(options.uri);
          const basic = Buffer.from(`${options.username}:${options.password}`).toString('base64');
          const response = await fetch(`${line.exchange.restBaseUrl}${pathname}`, {
            method: 'POST',
            headers: { authorization: `Basic ${basic}` },
            body: new URLSearchParams(options.data as Record<string, string>),
          });
          return { statusCode: response.status, body: await response.json(), headers: {} };
        },
      } as never,
    });
    const updated = await client.calls(line.call.callId).update({ status: 'completed' });
    expect(updated.sid).toBe(line.call.callId);
    await line.call.ended;
    await expect(client.calls(line.call.callId).update({ status: 'completed' })).rejects.toMatchObject({
      status: 400,
      code: 21220,
    });
  });
});

describe('an exchange', () => {
  it('keeps the deadlines of every call, however late its timer is', async () => {
    await using place = await atTheBridge();
    const calls: SimulatedCall[] = [];
    for (const offsetMs of [0, 7, 13]) {
      place.clock.advance(offsetMs);
      const call = place.place();
      await call.streaming;
      calls.push(call);
    }
    // Now is 20; the calls began at 0, 7 and 20.
    place.clock.advance(1000);
    const [a, b, c] = calls.map((call) => call.sent.length / 160);
    expect([a, b, c]).toEqual([51, 50, 50]);
    expect(place.exchange.liveCalls).toBe(3);
  });

  it('makes up for ticks that were missed, and says so', async () => {
    const clock = new VirtualClock();
    // A clock whose timers all come 500 ms late, as when the process was held up.
    const held = {
      now: () => clock.now(),
      epoch: () => clock.epoch(),
      after: (ms: number, run: () => void) => clock.after(ms === 20 ? 500 : ms, run),
    };
    await using bridge = await new HandBridge().listen();
    await using exchange = await startExchange({ clock: held, rest: false });
    expect(exchange.restBaseUrl).toBeUndefined();
    const connected = bridge.media();
    const call = exchange.placeCall({ webhookUrl: `${bridge.url}/voice` });
    const media = await connected;
    await call.streaming;
    clock.advance(500);
    await media.count('media', 25);
    expect(await call.hangUp()).toMatchObject({ lateTicks: 23, maxLateMs: 480 });
  });

  it('runs faster than life when it is told to', async () => {
    await using bridge = await new HandBridge().listen();
    await using exchange = await startExchange({ speed: 20 });
    const connected = bridge.media();
    const call = exchange.placeCall({ webhookUrl: `${bridge.url}/voice` });
    const media = await connected;
    await media.count('start', 1);
    media.play(2000);
    media.mark('end');
    const mark = await call.next('mark');
    expect(mark.flushed).toBe(false);
    expect(call.heard.length).toBeGreaterThanOrEqual(16_000);
    expect((await call.hangUp()).durationMs).toBeGreaterThanOrEqual(2000);
  });

  it('ends all calls when it is disposed of, and leaves no timer', async () => {
    const place = await atTheBridge();
    const calls = [place.place(), place.place(), place.place({ faults: { upgradeDelayMs: 1000 } })];
    await Promise.all([calls[0]?.streaming, calls[1]?.streaming, calls[2]?.next('stream-opening')]);
    const fresh = place.place({ statusCallbackUrl: `${place.bridge.url}/status` });
    await place[Symbol.asyncDispose]();
    const reports = await Promise.all([...calls, fresh].map((call) => call.ended));
    expect(reports.map((report) => report.endedBy)).toEqual(Array(4).fill('exchange'));
    expect(place.clock.pending).toBe(0);
  });

  it('refuses addresses that are none', async () => {
    await using exchange = await startExchange({ rest: false });
    expect(() => exchange.placeCall({ webhookUrl: 'bridge.example.com/voice' })).toThrow('BAD_INPUT');
    expect(() => exchange.placeCall({ webhookUrl: 'http://a/b', publicUrl: 'x' })).toThrow('BAD_INPUT');
  });

  it('carries two hundred calls whose frames all arrive in order', async () => {
    await using place = await atTheBridge();
    const calls = Array.from({ length: 200 }, () => place.place({ keepAudio: false }));
    await Promise.all(calls.map((call) => call.streaming));
    for (let i = 0; i < 10; i++) place.clock.advance(100);
    await Promise.all(place.bridge.ends.map((media) => media.count('media', 50)));
    for (const media of place.bridge.ends) {
      expect(media.of('media').map((frame) => (frame['media'] as Message)['chunk'])).toEqual(
        Array.from({ length: 50 }, (_, i) => String(i + 1)),
      );
    }
    expect(new Set(calls.map((call) => call.callId)).size).toBe(200);
  });
});
